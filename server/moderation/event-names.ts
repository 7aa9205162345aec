/**
 * What can happen in moderation. The names are part of the contract, and are written here alone. Imports nothing: the
 * client package has a copy.
 */
export const moderationEvent = {
  /** The user has another role. */
  roleChanged: 'role:changed',
  /** Somebody has reported a post or a user. */
  reported: 'report:added',
  /** A case is resolved, with all of its reports. */
  resolved: 'report:resolved',
} as const;
