import { ConfigError } from '../config.ts';
import { withConnection } from './client.ts';

/** The oldest PostgreSQL that has what the migrations use. */
export const OLDEST = 140_000;

interface Facts {
  version: number;
  version_name: string;
  encoding: string;
  folds: boolean;
  read_only: boolean;
  path: string;
  schema: string | null;
  elsewhere: string | null;
  role: string;
  limit: number;
}

/**
 * Makes sure that the service can run on a database before anything is changed in it.
 * @param connections that this service opens at most
 * @throws {ConfigError} with a sentence that names the fault and what ends it
 */
export async function requireUsableDatabase(databaseUrl: string, connections: number): Promise<void> {
  await withConnection(databaseUrl, { name: 'tidings', queryTimeout: 10_000 }, async (client) => {
    const { rows } = await client.query<Facts>(`
      select current_setting('server_version_num')::integer as version, current_setting('server_version') as version_name,
        current_setting('server_encoding') as encoding, lower('IRIS') = 'iris' and upper('iris') = 'IRIS' as folds,
        current_setting('transaction_read_only')::boolean as read_only,
        current_setting('search_path') as path, current_schema() as schema,
        (select min(n.nspname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relname = 'feed_head' and c.relkind = 'r' and to_regclass('feed_head') is null) as elsewhere,
        r.rolname as role,
        least(
          current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
          case when r.rolconnlimit >= 0 and not r.rolsuper then r.rolconnlimit end,
          case when d.datconnlimit >= 0 and not r.rolsuper then d.datconnlimit end) as limit
      from pg_roles r, pg_database d where r.rolname = current_user and d.datname = current_database()`);
    const fault = rows[0] && faultOf(rows[0], connections);
    if (fault !== undefined) throw new ConfigError(fault);
  });
}

function faultOf(facts: Facts, connections: number): string | undefined {
  if (facts.version < OLDEST) return `PostgreSQL ${facts.version_name} is too old: 14 or later is needed.`;
  const anew =
    "Make a database for Tidings with: create database tidings template template0 encoding 'UTF8' locale 'C.UTF-8'.";
  if (facts.encoding !== 'UTF8')
    return `The database's encoding is ${facts.encoding}, and Tidings keeps text of every script: UTF8 is needed. ${anew}`;
  if (!facts.folds)
    return `The database's locale does not make "iris" of "IRIS", as Turkish does not, so one name could be taken twice. ${anew}`;
  if (facts.elsewhere !== null)
    return `The tables of Tidings are in the schema ${facts.elsewhere}, which search_path (${facts.path}) does not reach: alter role ${facts.role} set search_path = ${facts.elsewhere}.`;
  if (facts.schema === null)
    return `search_path (${facts.path}) names no schema that exists: alter role ${facts.role} set search_path = public.`;
  if (facts.read_only)
    return 'The database cannot be written to: it is a standby, or default_transaction_read_only is on for the server, the database or the role.';
  if (facts.limit < connections)
    return `The role ${facts.role} may open ${facts.limit} connections to the database, and ${connections} are needed: raise max_connections or the connection limit of the role or the database, or lower DATABASE_POOL or WORKERS.`;
  return undefined;
}
