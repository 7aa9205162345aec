import type pg from 'pg';

/** What a table has beside its rows, in the order in which it is made: a key before the keys that refer to it. */
const PARTS = `
  select format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname) as undo,
    format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) as make,
    case c.contype when 'f' then 3 else 1 end as place, c.conname as name
  from pg_constraint c
  where c.contype in ('p', 'u') and c.conrelid = any($1::regclass[])
    or c.contype = 'f' and (c.conrelid = any($1::regclass[]) or c.confrelid = any($1::regclass[]))
  union all
  select format('drop index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid), 2, i.indexrelid::regclass::text
  from pg_index i
  where i.indrelid = any($1::regclass[])
    and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u'))
  order by place, name`;

/**
 * Takes keys, indexes and triggers off some tables while they are filled, and puts them back: each row of a bulk load
 * would otherwise pay for all of them. For the owner of the tables and of those that refer to them; within one
 * transaction nobody else sees it.
 * @param onMade called before each part that is put back, with its name
 */
export async function withBareTables(
  client: pg.ClientBase,
  tables: readonly string[],
  fill: () => Promise<void>,
  onMade: (name: string) => void,
): Promise<void> {
  const { rows: parts } = await client.query<{ undo: string; make: string; name: string }>(PARTS, [tables]);
  for (const { undo } of parts.toReversed()) await client.query(undo);
  for (const table of tables) await client.query(`alter table ${table} disable trigger user`);
  await fill();
  for (const { make, name } of parts) {
    onMade(name);
    await client.query(make);
  }
  for (const table of tables) await client.query(`alter table ${table} enable trigger user`);
}
