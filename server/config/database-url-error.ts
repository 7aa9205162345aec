/** A fault in DATABASE_URL or in one of PostgreSQL's own variables (PGHOST, …). The message names it and holds no secret. */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';
}
