import type pg from 'pg';

/**
 * Drops a database whatever still uses it. Not by force at once: a session whose client has just said goodbye would be told
 * of its end, which a client that has gone reports as an error to nobody. PostgreSQL itself waits 5 s for sessions to go.
 */
export async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  try {
    await client.query(`drop database if exists "${name}"`);
  } catch (error) {
    if ((error as { code?: string }).code !== '55006') throw error; // object_in_use
    await client.query(`drop database if exists "${name}" with (force)`);
  }
}
