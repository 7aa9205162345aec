/** Everyone. */
export const PUBLIC = 'public';
/** All who moderate. */
export const MODERATORS = 'role:moderator';

/** What of a user decides which private events they receive. */
export interface Reader {
  id: number;
  /** The event from which on the user moderates; undefined if they do not. */
  moderatesSince: number | undefined;
}

/**
 * Whether a user may receive an event of this audience. An unknown audience admits nobody: an event of a newer version
 * may reach fewer users than allowed, but never more.
 */
export function admits({ audience, seq }: { audience: string; seq: number }, reader: Reader): boolean {
  if (audience === PUBLIC) return true;
  if (audience === MODERATORS) return reader.moderatesSince !== undefined && seq > reader.moderatesSince;
  return audience === `user:${reader.id}`;
}

/** The audiences beside the public that a user belongs to: private events are found by them. */
export function audiencesOf({ id, moderatesSince }: Reader): readonly string[] {
  return moderatesSince === undefined ? [`user:${id}`] : [`user:${id}`, MODERATORS];
}
