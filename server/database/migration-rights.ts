import { ConfigError } from '../config.ts';
import { withConnection } from './client.ts';

export const NEW_DATABASE =
  "Make a database for Tidings with: create database tidings template template0 encoding 'UTF8' locale 'C.UTF-8'.";

/** Makes the first of our tables. */
export const FIRST_MIGRATION = '20261124000001-accounts.cjs';

interface Rights {
  role: string;
  schema: string;
  schema_owner: string;
  creates: boolean;
  /** Tables and functions of the schema that the role does not own, some of them by name, and whose they are. */
  foreign: number;
  examples: string | null;
  owners: string | null;
}

/** How many are listed by name. */
const EXAMPLES = 3;

/** SQL for the owner of a schema `n`. Since PostgreSQL 15 that of `public` is the owner of the database. */
export const OWNER_OF_SCHEMA = `(
  select pg_get_userbyid(case o.rolname when 'pg_database_owner' then d.datdba else n.nspowner end)::text
  from pg_roles o, pg_database d where o.oid = n.nspowner and d.datname = current_database())`;

/**
 * Makes sure that a role may run migrations and replace functions: it makes tables and functions in the schema, and owns those that
 * are there.
 * @param pending the names of both, at least one
 * @throws {ConfigError} with what is pending, what the role lacks and what ends it
 */
export async function requireMigrationRights(
  databaseUrl: string,
  pending: { migrations: readonly string[]; functions: readonly string[] },
): Promise<void> {
  const options = { name: 'tidings migrations', queryTimeout: 10_000 };
  const rights = await withConnection(databaseUrl, options, async (client) => {
    const { rows } = await client.query<Rights>(
      `with others as (
         select c.relname::text as name, c.relowner as owner from pg_class c
         where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
         union all
         select p.proname || '()', p.proowner from pg_proc p
         where p.pronamespace = current_schema()::regnamespace
           -- An extension may have been made by somebody else.
           and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
       ), foreign_ones as (
         select name, owner from others where not pg_has_role(owner, 'usage') order by name
       )
       select current_user::text as role, n.nspname::text as schema, ${OWNER_OF_SCHEMA} as schema_owner,
         has_schema_privilege(n.oid, 'create') as creates, (select count(*) from foreign_ones)::integer as foreign,
         (select string_agg(name, ', ') from (select name from foreign_ones limit $1) e) as examples,
         (select string_agg(distinct pg_get_userbyid(owner)::text, ', ') from foreign_ones) as owners
       from pg_namespace n where n.nspname = current_schema()`,
      [EXAMPLES],
    );
    return rows[0];
  });
  if (!rights || (rights.creates && rights.foreign === 0)) return;
  const examples = `${rights.examples}${rights.foreign > EXAMPLES ? ` and ${rights.foreign - EXAMPLES} more` : ''}`;
  // Nothing of ours is there yet.
  if (rights.foreign > 0 && pending.migrations.includes(FIRST_MIGRATION))
    throw new ConfigError(
      `The schema ${rights.schema} has tables or functions of another application, which belong to ${rights.owners}: ` +
        `${examples}. Tidings needs a database or a schema of its own. ${NEW_DATABASE}`,
    );
  const lacks = [
    ...(rights.creates ? [] : [`it may not create anything in the schema ${rights.schema}`]),
    ...(rights.foreign > 0 ? [`it does not own ${examples} (${rights.owners} does)`] : []),
  ];
  throw new ConfigError(
    `${describe(pending, rights.role)}: ${lacks.join(', and ')}. Set MIGRATION_DATABASE_URL to ` +
      `the address of the role that owns the schema (${rights.owners ?? rights.schema_owner}), or run "npm run db:migrate" with it.`,
  );
}

function describe(
  { migrations, functions }: { migrations: readonly string[]; functions: readonly string[] },
  role: string,
): string {
  if (migrations.length > 0) {
    const several = migrations.length > 1;
    return (
      `${several ? `${migrations.length} migrations are` : 'A migration is'} pending (${names(migrations)}), and the role ` +
      `${role} may not run ${several ? 'them' : 'it'}`
    );
  }
  const several = functions.length > 1;
  return (
    `${several ? `${functions.length} functions have` : 'A function has'} another text than in this version ` +
    `(${functions.join(', ')}), and the role ${role} may not replace ${several ? 'them' : 'it'}`
  );
}

function names(pending: readonly string[]): string {
  const [first = '', last = ''] = [pending[0], pending.at(-1)];
  return pending.length < 3 ? pending.join(', ') : `${first} to ${last}`;
}
