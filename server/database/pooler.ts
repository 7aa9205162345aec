import { connectClient } from './client.ts';

/** How many connections beside the first are looked at: as many servers as a pooler may have idle and hand out in turn. */
const OTHERS = 5;

/** The address leads through a pooler that gives a connection another server for each transaction. */
class TransactionPooling extends Error {
  override readonly name = 'TransactionPooling';

  constructor() {
    super(
      'DATABASE_URL leads through a pooler in transaction or statement mode (PgBouncer: pool_mode), where locks, settings and ' +
        'prepared statements do not stay with their connection. Use pool_mode = session, or the address of PostgreSQL itself',
    );
  }
}

/**
 * Refuses a pooler that shares servers between transactions. A pooler is known by its process number, which is not that of
 * the server behind it; its mode by a server that serves a second connection while the first still stands.
 * @throws {TransactionPooling}
 */
export async function refuseTransactionPooling(databaseUrl: string): Promise<void> {
  const options = { name: 'tidings probe', queryTimeout: 10_000 };
  const clients = [await connectClient(databaseUrl, options)];
  const serverOf = async (at: number) =>
    (await clients[at]?.query<{ pid: number }>('select pg_backend_pid() as pid'))?.rows[0]?.pid;
  try {
    const server = await serverOf(0);
    if ((clients[0] as unknown as { processID: number }).processID === server) return; // no pooler between
    for (let at = 1; at <= OTHERS; at += 1) {
      clients.push(await connectClient(databaseUrl, options));
      // The transaction stays open, so that the pooler cannot give the same server twice.
      await clients[at]?.query('begin').catch((error: unknown) => {
        // What PgBouncer says in statement mode.
        if (String(error).includes('statement pooling')) throw new TransactionPooling();
        throw error;
      });
      if ((await serverOf(at)) === server) throw new TransactionPooling();
    }
    // Who shares the pool with others may have been given another server meanwhile.
    if ((await serverOf(0)) !== server) throw new TransactionPooling();
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
}
