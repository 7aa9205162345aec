/**
 * What can happen to a user's notifications. The names are part of the contract, and are written here alone. Imports
 * nothing: the client package has a copy.
 */
export const notificationEvent = {
  /** There is a new one, or one was renewed. */
  added: 'notification:added',
  /** What it is about is gone. */
  removed: 'notification:removed',
  /** The user has seen them up to some `rev`. */
  read: 'notification:read',
  /** How many are unread. */
  state: 'notifications:state',
} as const;
