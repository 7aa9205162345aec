import type pg from 'pg';
import { ConfigError } from '../config.ts';
import { withConnection } from './client.ts';
import { FIRST_MIGRATION, NEW_DATABASE, OWNER_OF_SCHEMA } from './migration-rights.ts';

/** The oldest PostgreSQL that has what the migrations use. */
const OLDEST = 140_000;

interface Facts {
  version: number;
  version_name: string;
  encoding: string;
  folds: boolean;
  read_only: boolean;
  path: string;
  schema: string | null;
  /** Where the tables are that search_path leads to. */
  home: string | null;
  elsewhere: string | null;
  /** A schema of search_path that the role may not use, and whose it is. */
  closed: string | null;
  closed_owner: string | null;
  /** Tables of ours that the role may not read and write, and whose they are. */
  withheld: string | null;
  table_owner: string | null;
  /** Tables with names of ours, where there is no log: of another application, or of migrations that are not complete. */
  without_log: string | null;
  role: string;
  limit: number;
}

/** Tables of ours in the schema that `search_path` leads to, as a query. */
export const OUR_TABLES = `
  select c.oid, c.relname::text as name, pg_get_userbyid(c.relowner)::text as owner from pg_class c
  where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
    and c.relname in ('feed_head', 'event_outbox', 'event_log', 'posts', 'post_tallies', 'users', 'sessions', 'votes', 'SequelizeMeta')`;

/** Those of `ours`, the result of OUR_TABLES, that the role may not read and write: their names, or NULL. */
export const WITHHELD_TABLES = `
  (select string_agg(name, ', ' order by name) from ours
   where not has_table_privilege(oid, 'select') or name <> 'SequelizeMeta'
     and not (has_table_privilege(oid, 'insert') and has_table_privilege(oid, 'update')
       and has_table_privilege(oid, 'delete')))`;

/** How many connections the role `r` may open to the database `d`. */
export const CONNECTION_LIMIT = `
  least(
    current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
    case when r.rolconnlimit >= 0 and not r.rolsuper then r.rolconnlimit end,
    case when d.datconnlimit >= 0 and not r.rolsuper then d.datconnlimit end)`;

/**
 * Makes sure that the service can run on a database before anything is changed in it.
 * @param connections that this service opens at most
 * @throws {ConfigError} with a sentence that names the fault and what ends it
 */
export async function requireUsableDatabase(databaseUrl: string, connections: number): Promise<void> {
  const fault = await withConnection(databaseUrl, { name: 'tidings', queryTimeout: 10_000 }, (client) =>
    databaseFault(client, connections),
  );
  if (fault !== undefined) throw new ConfigError(fault);
}

/**
 * Why the service cannot run on a database, as a sentence that names what ends it; undefined if it can.
 * @param connections that this service opens at most
 */
export async function databaseFault(client: pg.ClientBase, connections: number): Promise<string | undefined> {
  const { rows } = await client.query<Facts>(`
    with named as (
      select n.oid, n.nspname, ${OWNER_OF_SCHEMA} as owner from pg_namespace n
      where n.nspname = any (array(
        select case trim(both '"' from trim(part)) when '$user' then current_user else trim(both '"' from trim(part)) end
        from unnest(string_to_array(current_setting('search_path'), ',')) part))
    ), ours as (${OUR_TABLES})
    select current_setting('server_version_num')::integer as version, current_setting('server_version') as version_name,
      current_setting('server_encoding') as encoding, lower('IRIS') = 'iris' and upper('iris') = 'IRIS' as folds,
      current_setting('transaction_read_only')::boolean as read_only,
      current_setting('search_path') as path, current_schema() as schema,
      (select n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass('feed_head')) as home,
      (select min(n.nspname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relname = 'feed_head' and c.relkind = 'r' and to_regclass('feed_head') is null) as elsewhere,
      closed.nspname as closed, closed.owner as closed_owner,
      ${WITHHELD_TABLES} as withheld,
      (select min(owner) from ours) as table_owner,
      (select string_agg(name, ', ' order by name) from ours where name <> 'SequelizeMeta'
       having not bool_or(name = 'feed_head')) as without_log,
      r.rolname as role,
      ${CONNECTION_LIMIT} as limit
    from pg_roles r cross join pg_database d
    left join lateral (
      select nspname::text, owner from named where not has_schema_privilege(oid, 'usage') limit 1) closed on true
    where r.rolname = current_user and d.datname = current_database()`);
  const [facts] = rows;
  if (facts === undefined) return undefined;
  return (
    serverFault(facts) ??
    schemaFault(facts) ??
    (await foreignFault(client, facts)) ??
    roleFault(facts, connections)
  );
}

/**
 * Tells tables of another application, which the migrations would meet, from those of migrations that are not complete. Where
 * the role may not read which have been run, it is not known.
 */
async function foreignFault(
  client: pg.ClientBase,
  { without_log: tables }: Facts,
): Promise<string | undefined> {
  if (tables === null) return undefined;
  const { rows } = await client.query<{ noted: boolean; readable: boolean | null }>(
    `select meta is not null as noted, has_table_privilege(meta, 'select') as readable
     from to_regclass('"SequelizeMeta"') meta`,
  );
  const { noted = false, readable } = rows[0] ?? {};
  if (readable === false) return undefined;
  const begun =
    noted &&
    (await client.query('select from "SequelizeMeta" where name = $1', [FIRST_MIGRATION])).rowCount === 1;
  return begun
    ? undefined
    : `The database has tables of another application: ${tables}. Tidings needs a database or a schema of its own. ${NEW_DATABASE}`;
}

function serverFault(facts: Facts): string | undefined {
  if (facts.version < OLDEST)
    return `PostgreSQL ${facts.version_name} is too old: version 14 or later is required.`;
  if (facts.encoding !== 'UTF8')
    return `The database's encoding is ${facts.encoding}, but Tidings stores text in every script: UTF8 is required. ${NEW_DATABASE}`;
  if (!facts.folds)
    return `The database's locale does not lower-case "IRIS" to "iris" (a Turkish locale, for example), so one name could be registered twice. ${NEW_DATABASE}`;
  return undefined;
}

function granted(owner: string | null): string {
  return `set MIGRATION_DATABASE_URL to the address of ${owner}, by which Tidings grants what it needs`;
}

/** What is wrong with where `search_path` leads. */
function schemaFault(facts: Facts): string | undefined {
  if (facts.closed !== null && (facts.schema === null || facts.closed === facts.elsewhere))
    return `The role ${facts.role} may not use the schema ${facts.closed}: ${granted(facts.closed_owner)}.`;
  if (facts.elsewhere !== null)
    return `The tables of Tidings are in the schema ${facts.elsewhere}, which search_path (${facts.path}) does not reach: alter role ${facts.role} set search_path = ${facts.elsewhere}.`;
  const temporary = /^\s*"?pg_temp/.test(facts.path);
  if (temporary || facts.schema === 'pg_catalog' || facts.schema === 'information_schema')
    return `search_path (${facts.path}) creates tables in ${temporary ? 'pg_temp, where they last for a session' : facts.schema}: alter role ${facts.role} set search_path = public.`;
  if (facts.home !== null && facts.home !== facts.schema)
    return `The tables of Tidings are in the schema ${facts.home}, but search_path (${facts.path}) creates new ones in ${facts.schema}: alter role ${facts.role} set search_path = ${facts.home}.`;
  if (facts.schema === null)
    return `search_path (${facts.path}) names no schema that exists: alter role ${facts.role} set search_path = public.`;
  return undefined;
}

function roleFault(facts: Facts, connections: number): string | undefined {
  if (facts.withheld !== null)
    return `The role ${facts.role} may not read and write all of ${facts.withheld}: ${granted(facts.table_owner)}.`;
  if (facts.read_only)
    return 'The database cannot be written to: it is a standby, or default_transaction_read_only is on for the server, the database or the role.';
  return connectionFault(facts, connections);
}

/** Why a role may not open as many connections as the service needs, as a sentence; undefined if it may. */
export function connectionFault(
  { role, limit }: Pick<Facts, 'role' | 'limit'>,
  connections: number,
): string | undefined {
  return limit >= connections
    ? undefined
    : `The role ${role} may open ${limit} connections to the database, and ${connections} are needed: raise max_connections or the connection limit of the role or the database, or lower DATABASE_POOL or WORKERS.`;
}
