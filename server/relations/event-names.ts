/**
 * What can happen between two users. The names are part of the contract, and are written here alone. Imports nothing:
 * the client package has a copy.
 */
export const relationEvent = {
  followed: 'follow:added',
  unfollowed: 'follow:removed',
  blocked: 'block:added',
  unblocked: 'block:removed',
  muted: 'mute:added',
  unmuted: 'mute:removed',
} as const;
