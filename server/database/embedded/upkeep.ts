import pg from 'pg';

/**
 * One connection for the upkeep of the embedded cluster, which is ended afterwards. Not `connectClient`: PostgreSQL's own
 * variables (PGOPTIONS, …) are about another server, and the service's settings do not matter here.
 * @throws what connecting and `use` throw
 */
export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    query_timeout: 30_000,
  });
  client.on('error', () => undefined); // its query fails as well, and that is what is reported
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
