import { randomBytes } from 'node:crypto';
import { onDatabase } from '../../config/connection-config.ts';
import type { Account } from './account.ts';
import { readPassword, writePassword } from './password.ts';
import { withClient } from './upkeep.ts';

/** The role that the service connects as: it owns the database of this name and is no superuser. */
export const SERVICE_ROLE = 'tidings_service';

/** The name of the database. */
export const DATABASE = 'tidings';

/** Where the role's password is, in the folder of the embedded database. */
export const SERVICE_PASSWORD = 'service-password';

/**
 * Makes the service's role and its database, unless they are there, and gives the role what it is to own: clusters of
 * earlier versions were used by their superuser.
 * @param adminUrl of the cluster's superuser, to a database that is always there
 * @returns the role's password
 */
export async function ensureServiceRole(
  adminUrl: string,
  place: string,
  keeper: Account | undefined,
): Promise<string> {
  const known = await readPassword(place, SERVICE_PASSWORD);
  const password = known ?? randomBytes(24).toString('hex');
  await withClient(adminUrl, async (client) => {
    const { rowCount: roles } = await client.query('select from pg_roles where rolname = $1', [SERVICE_ROLE]);
    if (roles === 0 || known === undefined) {
      await client.query(
        `${roles === 0 ? 'create' : 'alter'} role ${SERVICE_ROLE} login nosuperuser nocreatedb nocreaterole password '${password}'`,
      );
      // Only now: were this cut short, the file would still be missing and the next start would do it again.
      if (known === undefined) await writePassword(place, keeper, password, SERVICE_PASSWORD);
    }
    const { rows } = await client.query<{ owner: string }>(
      'select pg_get_userbyid(datdba) as owner from pg_database where datname = $1',
      [DATABASE],
    );
    if (rows.length === 0) await client.query(`create database ${DATABASE} owner ${SERVICE_ROLE}`);
    else if (rows[0]?.owner !== SERVICE_ROLE) {
      await handOver(onDatabase(adminUrl, DATABASE));
      await client.query(`alter database ${DATABASE} owner to ${SERVICE_ROLE}`);
    }
  });
  // By the age of its files the service knows a copied cluster. It may look at those of the cluster's own folder alone.
  await withClient(onDatabase(adminUrl, DATABASE), (client) =>
    client.query(`grant execute on function pg_stat_file(text) to ${SERVICE_ROLE}`),
  );
  return password;
}

/** `reassign owned` refuses a role that the system itself needs, so each object is named. Those of extensions stay. */
async function handOver(adminUrl: string): Promise<void> {
  await withClient(adminUrl, (client) =>
    client.query(`do $$
      declare command text;
      begin
        for command in
          select format('alter %s %s owner to ${SERVICE_ROLE}', kind, name) from (
            select case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view' else 'table' end,
              c.oid::regclass::text, 'pg_class'::regclass, c.oid, c.relnamespace
            from pg_class c
            where c.relkind in ('r', 'p', 'v', 'm', 'S')
              -- A sequence of a column goes with its table.
              and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i'))
            union all
            select 'routine', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid, p.pronamespace from pg_proc p
            union all
            select 'type', t.oid::regtype::text, 'pg_type'::regclass, t.oid, t.typnamespace
            from pg_type t where t.typtype in ('e', 'd')
          ) as owned (kind, name, class, oid, namespace)
          where namespace = 'public'::regnamespace
            and not exists (select from pg_depend d where d.classid = class and d.objid = owned.oid and d.deptype = 'e')
        loop
          execute command;
        end loop;
      end $$`),
  );
}
