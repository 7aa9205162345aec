/**
 * What can happen to a post that others may see, by what it does to a list of posts. The names are part of the contract, and are
 * written here alone. Imports nothing: the client package has a copy.
 */
export const postEvent = {
  /** It became visible: written as published, a draft that its owner published, or restored by a moderator. */
  added: 'post:created',
  /** Its text changed, or its owner's name. */
  changed: 'post:updated',
  /** It is no longer visible: deleted, withdrawn to a draft, or removed by a moderator. */
  removed: 'post:deleted',
} as const;
