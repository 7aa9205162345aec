/** How long a client may take. Part of what is promised, and so no settings; a test may give a node shorter ones. Milliseconds. */
export interface TimeLimits {
  /** From the opening of a connection for sockets to a valid handshake. */
  handshake: number;
  /** For the headers of a request; a connection that says nothing ends then as well. */
  headers: number;
  /** For a whole request. */
  request: number;
  /** From a follow, a block or a mute to its number in the stream; beyond it the answer is a 503. */
  number: number;
  /**
   * From the number of a block to the answer. A node that has not read the log for a second writes no events: by then,
   * each has read of the block or writes nothing.
   */
  block: number;
  /** For each request to the OpenID provider; a login makes up to four. */
  provider: number;
  /** For a part of an export, 64 KiB, to be read. */
  unread: number;
  /** For a whole export. */
  export: number;
  /** After which the removal of all posts of a user begins no other transaction: a response has a minute (`PendingResponses`). */
  removal: number;
  /** For an answer to a message of a webhook. */
  webhook: number;
  /** From a failure of a webhook to the next attempt; each time twice as long. */
  webhookRetry: number;
}

export const TIME_LIMITS: Readonly<TimeLimits> = {
  handshake: 5000,
  headers: 10_000,
  request: 15_000,
  number: 5000,
  block: 1100,
  provider: 4000,
  unread: 30_000,
  export: 30 * 60_000,
  removal: 45_000,
  webhook: 10_000,
  webhookRetry: 5000,
};
