import { expect } from 'chai';
import { createFeedPool, Database, isUnavailable } from '../server/database/connection.ts';
import { createLogger } from '../server/logger.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { TcpProxy } from './support/tcp-proxy.ts';

/** `ReadyForQuery`, idle: the end of the greeting (PostgreSQL's protocol 3). */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** `ErrorResponse`: FATAL, 57P01. */
const GOING_DOWN = ((fields: string) => {
  const body = Buffer.from(fields);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from('E'), length, body]);
})('SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0');

describe('a database that greets and goes down in the same breath', () => {
  let database: TestDatabase;
  let proxy: TcpProxy;

  before(async () => {
    database = await createDatabase();
    const { port } = new URL(database.url);
    proxy = await TcpProxy.start({ targets: () => [Number(port)] });
  });
  after(async () => {
    await proxy.stop();
    await database.drop();
  });

  it('is a database that does not answer, and no reason to end the process', async () => {
    const url = new URL(database.url);
    url.port = String(proxy.port);
    const db = new Database({ url: url.href, pool: 2, log: createLogger('silent') });
    try {
      proxy.tap = (piece, direction) =>
        direction === 'toClient' && piece.subarray(-READY.length).equals(READY)
          ? Buffer.concat([piece, GOING_DOWN])
          : piece;
      const refusal: unknown = await db.ping().catch((error: unknown) => error);
      expect(isUnavailable(refusal)).to.equal(true);

      proxy.tap = undefined;
      await db.ping();
    } finally {
      await db.close();
    }
  });
});

describe('a database whose connections the node has closed', () => {
  it('is one that does not answer to a request that would not end before', async () => {
    const database = await createDatabase();
    const db = new Database({ url: database.url, pool: 1, log: createLogger('silent') });
    const pool = createFeedPool(database.url, createLogger('silent'), 1);
    const failure = async (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);
    try {
      // The one is at work when the door closes, the others stand before it, and the last comes after.
      const asked = [db.sequelize.query('select pg_sleep(0.2)'), db.ping(), db.ping()].map(failure);
      const closing = db.close();
      for (const refusal of (await Promise.all([...asked, failure(db.ping())])).filter(
        (answer) => answer instanceof Error,
      ))
        expect(isUnavailable(refusal), String(refusal)).to.equal(true);
      await closing;
      expect(isUnavailable(await failure(db.ping()))).to.equal(true);
      await pool.end();
      expect(isUnavailable(await failure(pool.query('select 1')))).to.equal(true);
    } finally {
      await database.drop();
    }
  });
});
