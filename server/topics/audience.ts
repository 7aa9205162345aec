import type { Identity } from '../identity.ts';

/** Everybody. */
export const PUBLIC = 'public';

/**
 * The audiences beside the public that a user belongs to. To an audience that this node does not know nobody belongs: an event
 * of a newer version reaches fewer than it may, and never more.
 */
export function audiencesOf({ id }: Pick<Identity, 'id'>): readonly string[] {
  return [`user:${id}`];
}
