import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connectClient } from '../server/database/client.ts';
import { giveUp } from '../server/database/confirmed-client.ts';
import { refuseTransactionPooling } from '../server/database/pooler.ts';
import { type BouncerOptions, PgBouncer } from './support/pgbouncer.ts';
import { createDatabase, createEmptyDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';
import { createWorld } from './support/world.ts';

const run = promisify(execFile);

/** What its operators set so that clients which send such parameters can connect at all. */
const IGNORING = 'extra_float_digits,options,statement_timeout,lock_timeout';

describe('PgBouncer', () => {
  let database: TestDatabase;
  let bouncer: PgBouncer | undefined;

  before(async () => {
    database = await createDatabase();
  });
  afterEach(async () => {
    await bouncer?.stop();
    bouncer = undefined;
  });
  after(() => database.drop());

  /** Starts it and tells its address. */
  const start = async (options: BouncerOptions, target = database.url): Promise<string> => {
    bouncer = await PgBouncer.start(target, options);
    return bouncer.url;
  };
  const refusal = (url: string) =>
    refuseTransactionPooling(url).then(
      () => 'none',
      (error: unknown) => String(error),
    );

  it('in session mode carries the service, whose time limits reach the server on every connection', async () => {
    const url = await start({
      settings: { pool_mode: 'session', ignore_startup_parameters: IGNORING, server_reset_query_always: '1' },
    });
    await refuseTransactionPooling(url);
    const world = await createWorld({}, { url, drop: () => Promise.resolve() });
    try {
      const user = await world.user();
      expect((await user.post('/posts', { title: 'through a pooler', content: 'x' })).status).to.equal(201);
      await until('the post is told', () => world.ctx.feed.seq === 1);
      const { db } = world.ctx;
      const limits =
        "select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock";
      expect((await db.query({ text: limits, values: [] })).rows).to.deep.equal([
        { statement: '10s', lock: '5s' },
      ]);
    } finally {
      await world.close();
    }
  });

  it('that drops options of DATABASE_URL does not lead to another schema', async () => {
    const url = await start({ settings: { pool_mode: 'session', ignore_startup_parameters: IGNORING } });
    const client = await connectClient(`${url}?options=-c%20search_path%3Delsewhere%20--work-mem%3D8MB`, {
      name: 'tidings test',
    });
    const { rows } = await client.query(
      "select current_setting('search_path') as path, current_setting('work_mem') as memory",
    );
    await client.end();
    expect(rows).to.deep.equal([{ path: 'elsewhere', memory: '8MB' }]);
  });

  it('in session mode does not hide which process of the server a connection waits for', async () => {
    const url = await start({ settings: { pool_mode: 'session' } });
    const client = await connectClient(url, { name: 'tidings test' });
    const waiting = client.query('select pg_sleep(20)').then(
      () => 'answered',
      (error: unknown) => String(error),
    );
    const other = await connectClient(database.url, { name: 'tidings test' });
    const pids = async () => {
      const text = "select pid from pg_stat_activity where query = 'select pg_sleep(20)'";
      return (await other.query<{ pid: number }>(text)).rows.map(({ pid }) => pid);
    };
    await until('it waits', async () => (await pids()).length === 1);
    giveUp(new Set(await pids()));
    expect(await waiting).to.include('UnconfirmedCommit');
    await other.end();
  });

  const sharing: Record<string, BouncerOptions> = {
    'in transaction mode': { settings: { pool_mode: 'transaction' } },
    'in statement mode': { settings: { pool_mode: 'statement' } },
    'in transaction mode with one connection to the server': {
      settings: { pool_mode: 'transaction', default_pool_size: '1' },
    },
    'in transaction mode that takes its servers in turn': {
      settings: { pool_mode: 'transaction', server_round_robin: '1', min_pool_size: '3' },
    },
    'that resets sessions after each transaction': {
      settings: { pool_mode: 'transaction', server_reset_query_always: '1' },
    },
    'in transaction mode for this database': {
      settings: { pool_mode: 'session' },
      database: 'pool_mode=transaction',
    },
    'in transaction mode for this user': {
      settings: { pool_mode: 'session' },
      user: 'pool_mode=transaction',
    },
  };
  for (const [how, options] of Object.entries(sharing))
    it(`${how} is refused by name`, async () => {
      expect(await refusal(await start(options))).to.include('pool_mode = session');
    });

  it('in session mode with one connection to the server is refused by the size of its pool', async () => {
    const url = await start({ settings: { pool_mode: 'session', default_pool_size: '1' } });
    expect(await refusal(url)).to.include('default_pool_size');
  });

  it('in transaction mode keeps the tools from migrating', async () => {
    const empty = await createEmptyDatabase();
    try {
      const url = await start({ settings: { pool_mode: 'transaction' } }, empty.url);
      for (const env of [{ DATABASE_URL: url }, { DATABASE_URL: empty.url, MIGRATION_DATABASE_URL: url }]) {
        const failure: unknown = await run(
          process.execPath,
          ['--import', 'tsx', 'scripts/db.ts', 'db:migrate'],
          {
            env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
          },
        ).catch((error: unknown) => error);
        expect(failure).to.include({ code: 1 });
        expect((failure as { stderr: string }).stderr).to.include('pool_mode = session');
      }
      const client = await connectClient(empty.url, { name: 'tidings test' });
      const { rows } = await client.query("select to_regclass('posts') as posts");
      await client.end();
      expect(rows).to.deep.equal([{ posts: null }]);
    } finally {
      await bouncer?.stop();
      bouncer = undefined;
      await empty.drop();
    }
  });

  it('that is given another mode while a node runs is not used until it has the one of before', async () => {
    const session: BouncerOptions = { settings: { pool_mode: 'session' } };
    const url = await start(session);
    const world = await createWorld({}, { url, drop: () => Promise.resolve() });
    try {
      const user = await world.user();
      const readiness = () => world.anonymous.get<{ parts: { database: { reason?: string } } }>('/readyz');
      expect((await readiness()).status).to.equal(200);
      await bouncer!.reload({ settings: { pool_mode: 'transaction' } });
      await until('the node is not ready, and says why', async () => {
        const { status, body } = await readiness();
        return status === 503 && (body.parts.database.reason ?? '').includes('pool_mode = session');
      });
      const refused = await user.post('/posts', { title: 'meanwhile', content: '' });
      expect(refused.status).to.equal(503);
      await bouncer!.reload(session);
      await until('the node is ready', async () => (await readiness()).status === 200);
      const { status } = await user.post('/posts', { title: 'afterwards', content: '' });
      expect(status).to.equal(201);
      const { seq } = world.ctx.feed;
      await until('the post is told', () => world.ctx.feed.seq > seq || seq > 1);
    } finally {
      await world.close();
    }
  });
});
