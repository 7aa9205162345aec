/**
 * The embedded database can't be had here, and the message says what to do about it. It is meant for the operator:
 * show it without a stack.
 */
export class EmbeddedUnavailable extends Error {
  override readonly name = 'EmbeddedUnavailable';
}

/** The way out that every such message ends with. */
export const USE_DATABASE_URL = 'Set DATABASE_URL to a PostgreSQL server of your own instead.';
