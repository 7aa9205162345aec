import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbedded } from '../server/database/embedded.ts';
import { migrate } from '../server/database/migrate.ts';
import { temporaryFolder } from './support/postgres.ts';
import { expectProblem } from './support/problems.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('a database whose synchronous standby is away', () => {
  let folder: string;
  let server: EmbeddedPostgres;
  let world: World;
  let admin: pg.Client;
  let probe: pg.Client;
  let ada: TestUser;
  let post: number;

  before(async () => {
    folder = await temporaryFolder();
    server = await startEmbedded({ dataDir: folder, settings: { fsync: 'off' } });
    await migrate(server.url);
    admin = new pg.Client({ connectionString: server.adminUrl });
    await admin.connect();
    await admin.query('set synchronous_commit = local');
    probe = new pg.Client({ connectionString: server.adminUrl });
    await probe.connect();
    world = await createWorld({ DATABASE_POOL: '5' }, { url: server.url, drop: () => Promise.resolve() });
    ada = await world.user();
    post = (await ada.post<{ id: number }>('/posts', { title: 'before', content: '' })).body.id;
  });
  after(async () => {
    await admin.query('rollback');
    await standby('');
    await cancelWaits();
    await world.close();
    await probe.end();
    await admin.end();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** 'nobody' is a standby that never comes. */
  const standby = async (name: string) => {
    await admin.query(`alter system set synchronous_standby_names = '${name}'`);
    await admin.query('select pg_reload_conf()');
    if (name !== '') await until('commits to wait', doesCommitWait);
  };
  /** The setting is put into effect by the checkpointer, some time after it is read. */
  const doesCommitWait = async (): Promise<boolean> => {
    const { rows } = await probe.query<{ pid: number }>('select pg_backend_pid() as pid');
    let isDone = false;
    const commit = probe
      .query(`select pg_logical_emit_message(true, 'a test', '')`)
      .finally(() => (isDone = true));
    const waits = async () => (await waiting()).some(({ pid }) => pid === rows[0]!.pid);
    await until('it to be done or to wait', async () => isDone || (await waits()));
    const didWait = !isDone;
    if (didWait) await admin.query('select pg_cancel_backend($1)', [rows[0]!.pid]);
    await commit;
    return didWait;
  };
  const waiting = async () =>
    (await admin.query<{ pid: number }>("select pid from pg_stat_activity where wait_event = 'SyncRep'"))
      .rows;
  const cancelWaits = async () => {
    for (const { pid } of await waiting()) await admin.query('select pg_cancel_backend($1)', [pid]);
  };
  const readiness = () =>
    world.anonymous.get<{ detail?: string; parts: Record<string, { status: string; reason?: string }> }>(
      '/readyz',
    );
  const writable = () => until('writes are taken', async () => (await readiness()).status === 200);
  /** Cancels each wait as it comes, until the write has been answered. */
  const answeredAmidCancels = async <T>(write: Promise<T>): Promise<T> => {
    let done = false;
    const answered = write.finally(() => (done = true));
    while (!done) {
      await cancelWaits();
      await pause(20);
    }
    return answered;
  };

  it('is sent no more writes once one is stuck, and says so, until a commit is confirmed again', async () => {
    // That the session was used is written a little later: it is none of the writes that get stuck.
    const used = () =>
      admin.query('select from sessions where user_id = $1 and last_seen_at is not null', [ada.id]);
    await until('the use of the session is written', async () => (await used()).rowCount === 1);
    await standby('nobody');
    const key = { 'idempotency-key': 'said-twice' };
    const asked = { title: 'during', content: '' };
    const stuck = await ada.post('/posts', asked, key);
    expectProblem(stuck, 503, 'unavailable');
    expect(stuck.headers.get('retry-after')).to.match(/^\d+$/);

    const left = (await waiting()).length;
    expect(left).to.be.within(1, 2);
    for (let n = 0; n < 20; n += 1)
      expectProblem(await ada.post('/posts', { title: `refused ${n}`, content: '' }), 503, 'unavailable');
    expect((await waiting()).length).to.be.at.most(left);
    expect((await ada.get('/posts')).status, 'reads go on').to.equal(200);
    const { status, body } = await readiness();
    expect(status).to.equal(503);
    expect(body.parts.writes).to.deep.equal({
      status: 'down',
      reason: 'Commits wait for a synchronous standby that does not answer.',
    });

    // Who ends the waits has no standby yet: one trial at a time finds that out.
    const cancelled = (await waiting()).map(({ pid }) => pid);
    await cancelWaits();
    const trials = async () => (await waiting()).filter(({ pid }) => !cancelled.includes(pid));
    await until('a trial waits', async () => (await trials()).length > 0);
    expect((await trials()).length).to.equal(1);
    expect((await readiness()).status).to.equal(503);

    await standby('');
    await writable();
    expect(await waiting()).to.deep.equal([]);
    const again = await ada.post<{ id: number }>('/posts', asked, key);
    expect(again.status).to.equal(201);
    const rows = await admin.query("select id from posts where title = 'during'");
    expect(rows.rows).to.deep.equal([{ id: again.body.id }]);
    const events = () => admin.query('select from event_log where entity_id = $1', [again.body.id]);
    await until('its event is numbered', async () => (await events()).rowCount === 1);
  });

  it('is not ready, and says why, also when nothing waits but the trial that readiness makes', async () => {
    await standby('nobody');
    const reason = 'Commits wait for a synchronous standby that does not answer.';
    await until('the reason', async () => (await readiness()).body.parts.writes?.reason === reason);
    expect((await waiting()).length).to.be.at.least(1);
    await standby('');
    await writable();
  });

  it('answers a write whose wait was cancelled with 503, whatever the write, and not as done', async () => {
    const bob = await world.user();
    const writes: Record<string, () => Promise<Answer>> = {
      'a new post': () => bob.post('/posts', { title: 'x', content: '' }),
      'an edit': () => ada.patch(`/posts/${post}`, { title: 'edited' }),
      'a vote': () => bob.request('PUT', `/posts/${post}/vote`),
      'a sign-up': () => world.anonymous.post('/users', { email: 'new@example.org', password: PASSWORD }),
      'a login': () => world.anonymous.post('/login', { email: ada.email, password: PASSWORD }),
      'a deletion': () => ada.request('DELETE', `/posts/${post}`),
      'a logout': () => bob.request('POST', '/logout'),
    };
    await standby('nobody');
    for (const [name, write] of Object.entries(writes)) {
      const answer = await answeredAmidCancels(write());
      expect(answer.status, name).to.equal(503);
      expect(answer.headers.get('retry-after'), name).to.match(/^\d+$/);
    }
    await standby('');
    await cancelWaits();
    await writable();
  });

  it('answers a write whose process was ended during its wait with 503', async () => {
    await standby('nobody');
    let done = false;
    const answered = ada.post('/posts', { title: 'ended', content: '' }).finally(() => (done = true));
    while (!done) {
      for (const { pid } of await waiting()) await admin.query('select pg_terminate_backend($1)', [pid]);
      await pause(20);
    }
    expectProblem(await answered, 503, 'unavailable');
    await standby('');
    await writable();
  });

  it('is sent no piece of what is done in the background while commits wait', async () => {
    await standby('nobody');
    // As an import or a node of a version before writes them: each is still to be folded, and its tags to be found.
    await admin.query(
      `insert into posts (title, content, owner_id, published) select 'old ' || n, '#tag', $1, true from generate_series(1, 40) n`,
      [ada.id],
    );
    await until('not ready', async () => (await readiness()).status === 503);
    const left = (await waiting()).length;
    // Each tries to have them found at once, and a piece whose commit waits is given up after five seconds.
    await Promise.all(['old', 'zzz'].map((word) => ada.get(`/posts?search=${word}`)));
    await pause(9000);
    await ada.get('/posts?tag=tag');
    expect((await waiting()).length).to.be.at.most(left + 1);
    await standby('');
    await cancelWaits();
    await writable();
    await until('all is done', async () => {
      const { rowCount } = await admin.query(
        'select from posts where search_fold is null or parsed_at is null',
      );
      return rowCount === 0;
    });
  });

  it('is looked after also where its role may not see what new connections are given', async () => {
    await admin.query('revoke select on pg_db_role_setting from public');
    await standby('nobody');
    expectProblem(await ada.post('/posts', { title: 'not seen', content: '' }), 503, 'unavailable');
    await until('not ready', async () => (await readiness()).status === 503);
    expect((await readiness()).body.parts.writes?.reason).to.contain('synchronous standby');
    await standby('');
    await cancelWaits();
    await writable();
    await admin.query('grant select on pg_db_role_setting to public');
  });

  it('is not ready while it is read-only, and says why', async () => {
    await admin.query('alter system set default_transaction_read_only = on');
    await admin.query('select pg_reload_conf()');
    await until('not ready', async () => (await readiness()).status === 503);
    expect((await readiness()).body.parts.writes?.reason).to.contain('default_transaction_read_only');
    expectProblem(await ada.post('/posts', { title: 'x', content: '' }), 503, 'unavailable');
    await admin.query('set default_transaction_read_only = off');
    await admin.query('alter system reset default_transaction_read_only');
    await admin.query('select pg_reload_conf()');
    await writable();
  });

  const refused = async () =>
    /^tidings_writes_refused (\S+)$/m.exec((await world.anonymous.get<string>('/metrics')).body)?.[1];
  /** Lock requests of nodes for a table that wait. */
  const waitingFor = async (table: string) => {
    const { rows } = await probe.query<{ n: number }>(
      'select count(*)::integer as n from pg_locks where not granted and relation = $1::regclass',
      [table],
    );
    return rows[0]?.n ?? 0;
  };

  for (const table of ['posts', 'event_outbox'])
    it(`is ready during a short lock on ${table}, and not ready while one outlasts what a write waits for it`, async () => {
      await writable();
      await admin.query(`begin; lock table ${table} in share mode`);
      await until('a trial waits for it', async () => (await waitingFor(table)) > 0);
      const during = await readiness();
      await admin.query('commit');
      expect(during.status).to.equal(200);
      expect((await ada.post('/posts', { title: 'after', content: '' })).status).to.equal(201);
      expect((await readiness()).status).to.equal(200);

      await admin.query(`begin; lock table ${table} in share mode`);
      expectProblem(await ada.post('/posts', { title: 'locked out', content: '' }), 503, 'unavailable');
      await until('not ready', async () => (await readiness()).status === 503);
      expect((await readiness()).body.parts.writes).to.deep.equal({
        status: 'down',
        reason: `Another session holds a lock on ${table} for longer than a write waits for it.`,
      });
      await until('the metric', async () => (await refused()) === '1');
      expect((await ada.get('/posts')).status, 'reads go on').to.equal(200);
      // What does not need the table is not refused for it.
      const login = await world.anonymous.post('/login', { email: ada.email, password: PASSWORD });
      expect(login.status).to.equal(200);
      await admin.query('commit');
      await writable();
      expect((await ada.post('/posts', { title: 'again', content: '' })).status).to.equal(201);
      await until('the metric', async () => (await refused()) === '0');
    });

  it('is not ready while its role may not write what a request writes, and says what', async () => {
    await writable();
    const owner = new URL(server.url).username;
    await admin.query(`revoke insert on event_outbox from ${owner}`);
    expectProblem(await ada.post('/posts', { title: 'withheld', content: '' }), 503, 'unavailable');
    await until('not ready', async () => (await readiness()).status === 503);
    expect((await readiness()).body.parts.writes).to.deep.equal({
      status: 'down',
      reason: 'The role may not read and write all of event_outbox.',
    });
    await until('the metric', async () => (await refused()) === '1');
    await admin.query(`grant insert on event_outbox to ${owner}`);
    await writable();
    expect((await ada.post('/posts', { title: 'granted', content: '' })).status).to.equal(201);
    await until('the metric', async () => (await refused()) === '0');
  });

  it('takes no transaction numbers while nobody asks or writes', async () => {
    await writable();
    const next = async () => {
      const { rows } = await probe.query<{ at: string }>(
        'select pg_snapshot_xmax(pg_current_snapshot())::text as at',
      );
      return rows[0]?.at;
    };
    const looks = async () => {
      const { rows } = await probe.query<{ n: string }>(
        "select query_start::text as n from pg_stat_activity where query ~ 'lock table posts' and pid <> pg_backend_pid()",
      );
      return rows.map(({ n }) => n).join();
    };
    await until('nothing to be written', async () => {
      const [before, seen] = [await next(), await looks()];
      await until('another look', async () => (await looks()) !== seen);
      return (await next()) === before;
    });
  });

  it('is not ready while nothing can be numbered, and tells how much waits', async () => {
    await admin.query('begin; lock table event_log in share mode');
    expect((await ada.post('/posts', { title: 'not numbered', content: '' })).status).to.equal(201);
    await until('not ready', async () => (await readiness()).status === 503);
    expect((await readiness()).body.parts.numbering?.reason).to.match(/oldest of \d+ has waited for \d+ s/);
    const metrics = (await world.anonymous.get<string>('/metrics')).body;
    expect(metrics).to.match(/^tidings_outbox_events [1-9]/m);
    expect(Number(/^tidings_outbox_oldest_age_seconds (\S+)$/m.exec(metrics)?.[1])).to.be.above(4);
    await admin.query('commit');
    await writable();
  });
});
