import type { Identity } from '../identity.ts';

/** Everyone. */
export const PUBLIC = 'public';

/**
 * The audiences beside the public that a user belongs to. An unknown audience admits nobody: an event of a newer
 * version may reach fewer users than allowed, but never more.
 */
export function audiencesOf({ id }: Pick<Identity, 'id'>): readonly string[] {
  return [`user:${id}`];
}
