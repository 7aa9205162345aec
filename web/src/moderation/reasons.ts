import type { Report } from 'tidings-client';
import { isKey, say } from '../languages/say.ts';

/** Why something can be reported. */
export const reasons = [
  'spam',
  'harassment',
  'violence',
  'illegal',
  'other',
] as const satisfies readonly Report['reason'][];

/** The words for a reason, which a newer service may have more of. */
export function wordsOf(reason: string): string {
  const key = `report.${reason}`;
  return isKey(key) ? say(key as 'report.spam') : reason;
}
