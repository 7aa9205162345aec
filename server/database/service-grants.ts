import type pg from 'pg';
import { ConfigError } from '../config.ts';
import { withConnection } from './client.ts';
import { migrate, type MigrationLog, type MigrationOptions } from './migrate.ts';
import { withMigrationLock } from './migration-lock.ts';

/** Where an address leads, and as whom. */
interface Place {
  /** The running server, and the database in it. */
  database: string;
  role: string;
}

/**
 * Makes sure that MIGRATION_DATABASE_URL and DATABASE_URL lead to one database, before anything is changed in it.
 * @throws {ConfigError} if they do not
 */
export async function requireSameDatabase(migrationUrl: string, serviceUrl: string): Promise<void> {
  const [ofMigrations, ofService] = [await placeOf(migrationUrl), await placeOf(serviceUrl)];
  if (ofMigrations.database !== ofService.database)
    throw new ConfigError(
      'MIGRATION_DATABASE_URL and DATABASE_URL lead to two databases: they must lead to one.',
    );
}

/**
 * Migrates as the owner of the schema, and lets the service's role do what the service does, and no more: read and write rows,
 * call functions. It owns nothing. Granted before too: what a migration makes is the service's from its commit on.
 * @param migrationUrl of the owner; if that is the service's own role, nothing is granted
 * @returns the names of the files that were run
 */
export async function migrateForService(
  migrationUrl: string,
  serviceUrl: string,
  log: MigrationLog,
  options: Pick<MigrationOptions, 'to'> = {},
): Promise<string[]> {
  const { role } = await placeOf(serviceUrl);
  await grant(migrationUrl, role, log);
  const names = await migrate(migrationUrl, log, options);
  await grant(migrationUrl, role, log);
  return names;
}

/** Nothing is written where the role lacks nothing. */
async function grant(migrationUrl: string, role: string, log: MigrationLog): Promise<void> {
  const needed = () => onConnection(migrationUrl, (client) => missingGrants(client, role));
  if ((await needed()).length === 0) return;
  await withMigrationLock(migrationUrl, log, async (lock) => {
    for (const statement of await needed()) {
      lock.assertHeld();
      await onConnection(migrationUrl, (client) => client.query(statement));
    }
  });
}

/** The statements that give a role what it lacks, and take what it must not have. The database quotes the names in them. */
async function missingGrants(client: pg.Client, role: string): Promise<string[]> {
  const { rows } = await client.query<{ statement: string }>(
    `with mine as (
       select c.oid, c.relkind, c.relname from pg_class c
       where c.relnamespace = current_schema()::regnamespace and c.relowner = current_user::regrole
     ), granted as (
       select format('grant usage on schema %I to %I', current_schema(), $1::text) as statement
       where not has_schema_privilege($1, current_schema(), 'usage')
       union all
       -- The probe of whether anything can be written makes one.
       select format('grant temporary on database %I to %I', current_database(), $1::text)
       where not has_database_privilege($1, current_database(), 'temporary')
       union all
       select format('grant %s on table %s to %I', kind, oid::regclass, $1::text)
       from mine, unnest(array['select', 'insert', 'update', 'delete']) kind
       where relkind in ('r', 'p', 'v') and (relname <> 'SequelizeMeta' or kind = 'select')
         and not has_table_privilege($1, oid, kind)
       union all
       select format('grant usage, select on sequence %s to %I', oid::regclass, $1::text)
       -- In this order: the function fails on a table.
       from mine where case relkind when 'S' then not has_sequence_privilege($1, oid, 'usage') end
       union all
       select format('grant execute on function %s to %I', p.oid::regprocedure, $1::text)
       from pg_proc p
       where p.pronamespace = current_schema()::regnamespace and p.proowner = current_user::regrole
         and not has_function_privilege($1, p.oid, 'execute')
       union all
       -- Of what a migration makes, from its commit on: a trigger for nodes of the version before may need it.
       select format('alter default privileges in schema %I grant %s to %I', current_schema(), what, $1::text)
       from (values ('r', 'select, insert, update, delete on tables'), ('S', 'usage, select on sequences'),
         ('f', 'execute on functions')) kinds (kind, what)
       where not exists (
         select from pg_default_acl d, aclexplode(d.defaclacl) a
         where d.defaclrole = current_user::regrole and d.defaclnamespace = current_schema()::regnamespace
           and d.defaclobjtype = kind::"char" and a.grantee = (select oid from pg_roles where rolname = $1))
       union all
       select format('revoke insert, update, delete on table %s from %I', oid::regclass, $1::text)
       from mine where relname = 'SequelizeMeta' and has_table_privilege($1, oid, 'insert, update, delete')
     )
     select statement from granted where $1 <> current_user`,
    [role],
  );
  return rows.map(({ statement }) => statement);
}

function placeOf(url: string): Promise<Place> {
  return onConnection(url, async (client) => {
    const { rows } = await client.query<Place>(
      `select concat_ws(' ', (select system_identifier from pg_control_system()), pg_postmaster_start_time(),
         (select oid from pg_database where datname = current_database())) as database, current_user::text as role`,
    );
    return rows[0] ?? { database: '', role: '' };
  });
}

function onConnection<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  return withConnection(url, { name: 'tidings migrations', queryTimeout: 10_000 }, use);
}
