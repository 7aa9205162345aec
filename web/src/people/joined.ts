import type { PublicUser } from 'tidings-client';
import { formats } from '../languages/formats.ts';
import { say } from '../languages/say.ts';

/** The month in which somebody came, in words. */
export function joined({ created_at }: PublicUser): string {
  return say('people.joined', { month: formats.value.month.format(new Date(created_at)) });
}
