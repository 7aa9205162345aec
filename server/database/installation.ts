import { createHash } from 'node:crypto';
import { databaseErrorCode } from './connection.ts';

/** What the database is asked through. */
interface Source {
  query(query: { text: string; values: unknown[] }): Promise<{ rows: object[] }>;
}

/** SQLSTATE 42501. */
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * An identifier of this installation: the same on all of its nodes, and unchanged by a failover to a standby. It is
 * computed from the identifier of the PostgreSQL cluster, the database's oid and the schema; if the role may not read
 * the first, the epoch replaces it.
 * @returns twelve hexadecimal digits
 */
export async function installationId(database: Source): Promise<string> {
  const place = `(select d.oid from pg_database d where d.datname = current_database()), current_schema()`;
  const read = async (text: string) => (await database.query({ text, values: [] })).rows[0] as { id: string };
  const { id } = await read(
    `select concat_ws(':', (select system_identifier from pg_control_system()), ${place}) as id`,
  ).catch((error: unknown) => {
    if (databaseErrorCode(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    return read(`select concat_ws(':', (select epoch from feed_head), ${place}) as id`);
  });
  return createHash('sha256').update(id).digest('hex').slice(0, 12);
}
