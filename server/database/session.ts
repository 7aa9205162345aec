import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { ConfigError } from '../config.ts';

/**
 * The settings of a session that our statements rely on. A database or a role may have others of its own
 * (`alter database … set`, `alter role … set`), so every connection sets these itself. A setting that the server does not
 * know, since it is older, is left out; where one that only a superuser may change has another value, the connection is refused.
 *
 * Left to the database: `search_path`, `default_transaction_read_only` (anyone who sets it wants no writes) and what
 * only changes how fast a plan is.
 */
const SESSION_SETTINGS = {
  // A commit that its standby has not confirmed is reported only by a warning.
  client_min_messages: 'warning',
  // The texts in which values come and go.
  client_encoding: 'UTF8',
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
  // The definitions that the doctor compares.
  quote_all_identifiers: 'off',
  // All rows that an index finds, and the connection after an error.
  gin_fuzzy_search_limit: '0',
  exit_on_error: 'off',
  restrict_nonsystem_relation_kind: '',
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

/** The setting by which a session is known again: a name of our own, which every role may set. */
const MARK = 'tidings.session';

/** What a connection is set to, and by which it is known again. */
export interface Session {
  /** Which variable has its address, for messages. */
  variable: string;
  /** The process of the server. Behind a pooler it is not the one that the connection was told of. */
  pid: number;
  mark: string;
}

/** Statements of one connection run in more than one server session. SQLSTATE 08004. */
export class SharedSession extends Error {
  override readonly name = 'SharedSession';
  readonly code = '08004';

  /** @param variable which has the address */
  constructor(variable: string) {
    super(
      `${variable} leads through a pooler that does not give each connection its own server session: in transaction or statement ` +
        'mode (PgBouncer: pool_mode), or balancing between servers (Pgpool-II: load_balance_mode). Locks, settings and ' +
        'prepared statements would not stay with their connection. Use pool_mode = session, load_balance_mode = off, or the ' +
        'address of PostgreSQL itself',
    );
  }
}

/** Something between the service and the server resets the settings of a connection. SQLSTATE 08004. */
class SettingsLost extends Error {
  override readonly name = 'SettingsLost';
  readonly code = '08004';

  constructor(names: readonly string[], variable: string) {
    super(
      `Settings that Tidings makes on a database connection are not in effect (${names.join(', ')}): ` +
        `${variable} leads through a pooler that undoes it. Use the address of PostgreSQL itself`,
    );
  }
}

/** Of a tool, which may read for long; other callers give limits of their own. */
const TOOL_LIMITS = sessionLimits({ statement: 0, lock: 10_000, idleInTransaction: 60_000 });

/** A session cannot be made what we rely on. The message names the setting and what ends it; `code` is PostgreSQL's. */
class UnusableSession extends ConfigError {
  readonly code: string;

  constructor(message: string, code: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** SQLSTATE of a limit that was over before it could be set to another, by its setting. */
const TOO_SHORT: Readonly<Record<string, string>> = {
  '57014': 'statement_timeout',
  '25P03': 'idle_in_transaction_session_timeout',
  '25P04': 'transaction_timeout',
  '57P05': 'idle_session_timeout',
};

/** SQLSTATE 42501. */
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Makes a session what we rely on, in one statement, and looks in another whether it is that: every connection that the
 * service or a tool opens comes through here. A pooler may drop what stands in the startup packet, so nothing stands there.
 * What is set so already is not set again: some settings need a right that is only needed for another value.
 *
 * `synchronous_commit` stays what it is, unless it is `off`: then a crash of the server would lose what was acknowledged.
 * @param wanted settings of DATABASE_URL, which a server that does not know one of them refuses
 * @param settings beyond ours, or in place of them
 * @param timeout milliseconds
 * @param variable which has the address, for messages
 * @throws {SharedSession} if the second statement has met another session
 * @throws {ConfigError} if the role may not change a setting that it was given
 */
export async function applySettings(
  client: pg.Client,
  wanted: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, string>>,
  timeout: number,
  variable: string,
): Promise<Session> {
  const ask = <R extends pg.QueryResultRow>(text: string, values: unknown[]) =>
    client.query<R>({ text, values, query_timeout: timeout } as pg.QueryConfig);
  const mark = randomUUID();
  // The limits come first: those of the role would hold for this very statement.
  const all = { ...TOOL_LIMITS, ...settings, ...SESSION_SETTINGS, ...settings };
  const { rows } = await ask<{ name: string; value: string }>(
    `select s.name,
       case when current_setting(s.name, true) is distinct from s.value then set_config(s.name, s.value, false)
         else s.value end as value
     from unnest($1::text[], $2::text[], $3::boolean[]) as s (name, value, must)
     where s.must or current_setting(s.name, true) is not null
     union all
     select 'synchronous_commit', set_config('synchronous_commit', 'on', false)
     where current_setting('synchronous_commit') = 'off'`,
    settingsLists(wanted, all, mark),
  ).catch((error: unknown) => explainRefusal(client, error, all, timeout));
  // As the server writes them: `10s` for `10000`.
  const { rows: found } = await ask<{ pid: number; lost: string[] }>(
    `select pg_backend_pid() as pid, array(
       select s.name from unnest($1::text[], $2::text[]) as s (name, value)
       where current_setting(s.name, true) is distinct from s.value) as lost`,
    [rows.map(({ name }) => name), rows.map(({ value }) => value)],
  );
  const { pid = 0, lost = [] } = found[0] ?? {};
  if (lost.includes(MARK)) throw new SharedSession(variable);
  if (lost.length > 0) throw new SettingsLost(lost, variable);
  return { variable, pid, mark };
}

/** Ours win over those of the address: they are what the service relies on. */
function settingsLists(
  wanted: Readonly<Record<string, string>>,
  ours: Readonly<Record<string, string>>,
  mark: string,
): [string[], string[], boolean[]] {
  const all = [
    ...Object.entries(ours).map(([name, value]) => ({ name, value, must: false })),
    ...Object.entries(wanted)
      .filter(([name]) => !Object.hasOwn(ours, name))
      .map(([name, value]) => ({ name, value, must: true })),
    { name: MARK, value: mark, must: true },
  ];
  return [all.map(({ name }) => name), all.map(({ value }) => value), all.map(({ must }) => must)];
}

/**
 * Makes sure that a statement of this connection meets the session that it has been given.
 * @param timeout milliseconds
 * @throws {SharedSession}
 */
export async function requireOwnSession(
  client: pg.ClientBase,
  { variable, pid, mark }: Session,
  timeout: number,
): Promise<void> {
  const { rows } = await client.query<{ own: boolean }>({
    text: `select pg_backend_pid() = $1 and current_setting('${MARK}', true) is not distinct from $2 as own`,
    values: [pid, mark],
    query_timeout: timeout,
  } as pg.QueryConfig);
  if (rows[0]?.own !== true) throw new SharedSession(variable);
}

/** @throws {ConfigError} with what ends it, if the role has settings that it may not change, and the error otherwise */
async function explainRefusal(
  client: pg.Client,
  error: unknown,
  all: Readonly<Record<string, string>>,
  timeout: number,
): Promise<never> {
  const { code = '' } = error as { code?: string };
  const short = TOO_SHORT[code];
  if (short !== undefined)
    throw new UnusableSession(
      `The ${short} of the role, the database or the server expires before Tidings can set its own: increase it, or set it to 0.`,
      code,
      error,
    );
  if (code !== INSUFFICIENT_PRIVILEGE) throw error;
  throw new UnusableSession(await describeRefused(client, all, timeout), code, error);
}

interface Refused {
  name: string;
  setting: string;
  source: string;
  role: string;
  database: string;
}

/** Which settings a role has that only a superuser may change, and where they come from. */
async function describeRefused(
  client: pg.Client,
  wanted: Readonly<Record<string, string>>,
  timeout: number,
): Promise<string> {
  const { rows } = await client.query<Refused>({
    text: `select s.name, s.setting, s.source, quote_ident(current_user) as role, quote_ident(current_database()) as database
           from pg_settings s join unnest($1::text[], $2::text[]) as w (name, value) on w.name = s.name
           where s.setting <> w.value and s.context = 'superuser' order by s.name`,
    values: [Object.keys(wanted), Object.values(wanted)],
    query_timeout: timeout,
  } as pg.QueryConfig);
  const faults = rows.map(({ name, setting, source, role, database }) => {
    const where: Readonly<Record<string, string>> = {
      user: `alter role ${role} reset ${name}`,
      'database user': `alter role ${role} in database ${database} reset ${name}`,
      database: `alter database ${database} reset ${name}`,
    };
    return `${name} = ${setting} (${where[source] ?? `set by: ${source}`})`;
  });
  return `The role may not change settings that Tidings cannot work with: ${faults.join(', ')}.`;
}
