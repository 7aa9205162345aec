import type pg from 'pg';

/**
 * The settings of a session that our statements rely on. A database or a role may have others of its own
 * (`alter database … set`, `alter role … set`), so every connection sets these itself. A setting that the server does not
 * know, since it is older, is left out; the values of one that only a superuser may change are wanted, and a connection on
 * which they cannot be had is refused.
 *
 * Left to the database: `search_path`, `default_transaction_read_only` (whoever sets it wants no writes) and what only
 * changes how fast a plan is.
 */
const SESSION_SETTINGS = {
  // A commit that its standby has not confirmed is told by a warning, and only by that.
  client_min_messages: 'warning',
  // The texts in which values come and go.
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  xmloption: 'content',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  // The grammar of our statements and of the arrays that are sent with them.
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  array_nulls: 'on',
  transform_null_equals: 'off',
  // What a transaction sees, and which rules hold in it.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  row_security: 'on',
  session_replication_role: 'origin',
  // Our own limits are in `SessionLimits`; these end connections that do nothing wrong.
  idle_session_timeout: '0',
  transaction_timeout: '0',
  // Compiling costs more than any of our statements.
  jit: 'off',
  plan_cache_mode: 'auto',
} as const;

/** How long the server lets something of a session take, as settings. Milliseconds; 0 is without a limit. */
export function sessionLimits(limits: {
  statement: number;
  lock: number;
  idleInTransaction: number;
}): Record<string, string> {
  return {
    statement_timeout: String(limits.statement),
    lock_timeout: String(limits.lock),
    idle_in_transaction_session_timeout: String(limits.idleInTransaction),
  };
}

/**
 * Makes a session what we rely on, in one statement. What is set so already is not set again: some settings need a right
 * that is only needed for another value.
 *
 * `synchronous_commit` stays what it is, unless it is `off`: then a crash of the server would lose what was acknowledged.
 * @param settings beyond ours, or in place of them
 * @param timeout milliseconds
 */
export async function applySettings(
  client: pg.Client,
  settings: Readonly<Record<string, string>>,
  timeout: number,
): Promise<void> {
  // The limits come first: those of the role would hold for this very statement.
  const all = { ...settings, ...SESSION_SETTINGS, ...settings };
  await client.query({
    text: `select set_config(s.name, s.value, false) from unnest($1::text[], $2::text[]) as s (name, value)
           where current_setting(s.name, true) <> s.value
           union all
           select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`,
    values: [Object.keys(all), Object.values(all)],
    query_timeout: timeout,
  } as pg.QueryConfig);
}
