import { expect } from 'chai';
import { join } from 'node:path';
import pg from 'pg';
import { migrate } from '../server/database/migrate.ts';
import { examine } from '../server/doctor/examine.ts';
import { makeNewEpoch, repair } from '../server/doctor/repair.ts';
import type { Ready } from '../server/contract.ts';
import { firstFault, record, readyOf } from './support/sockets.ts';
import { startSystemPostgres, type SystemPostgres } from './support/system-postgres.ts';
import { caughtUp } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, Api, createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

/** How soon after the tables are back the node must serve again. Milliseconds. */
const BACK_WITHIN = 5000;

describe('A node under which the tables are restored', () => {
  let server: SystemPostgres;
  let url: string;
  let dump: string;
  let world: World;
  let ada: TestUser;
  let first: number;
  let owner: pg.Client;

  before(async () => {
    server = await startSystemPostgres();
    const admin = new pg.Client({ connectionString: server.url('postgres') });
    await admin.connect();
    await admin.query("create role tidings login password 'secret'");
    // Of two that wait for each other's locks PostgreSQL ends the one that finds it out: the node, and not the restore.
    await admin.query(`alter role current_user set deadlock_timeout = '1min'`);
    await admin.query('create database tidings owner tidings template template0');
    await admin.end();
    url = server.url('tidings').replace('admin:', 'tidings:');
    await migrate(url);
    world = await createWorld({}, { url, drop: () => Promise.resolve() });
    ada = await world.user('ada');
    first = (await ada.post<{ id: number }>('/posts', { title: 'in the backup', content: '' })).body.id;
    await ada.put(`/posts/${first}/vote`);
    owner = new pg.Client({ connectionString: server.url('tidings') });
    owner.on('error', () => undefined);
    await owner.connect();
    await owner.query('set role tidings');
    dump = join(server.folder, 'tidings.dump');
    await server.program('pg_dump', '--format=custom', `--file=${dump}`, url);
  });
  after(async () => {
    await owner.end();
    await world.close();
    await server.stop();
  });

  const restore = async (...options: string[]) => {
    const to = ['--role=tidings', `--dbname=${server.url('tidings')}`];
    const { stderr } = await server.program('pg_restore', ...options, ...to, dump);
    expect(stderr, 'what pg_restore met').to.equal('');
  };

  let accounts = 0;
  /** Everything that is asked of the node meanwhile: it is answered rightly, or 503. */
  const askMeanwhile = (title: string) => {
    let going = true;
    const refused = new Set<string>();
    const ask = async (what: string, send: () => Promise<Answer>, right: (body: never) => boolean) => {
      for (let n = 0; going; n += 1) {
        const { status, headers, body } = await send();
        if (status === 503) {
          refused.add(what);
          expect(headers.get('retry-after'), what).to.match(/^\d+$/);
        } else if (status >= 300 || !right(body as never)) {
          throw new Error(`${what}: ${status} ${JSON.stringify(body).slice(0, 300)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    const nobody = new Api(world.url);
    const asked = Promise.all([
      ask(
        'a list',
        () => ada.get('/posts?sort=top'),
        (posts: unknown[]) => posts.length > 0,
      ),
      ask(
        'a search',
        () => ada.get('/posts?search=backup'),
        (posts: unknown[]) => posts.length > 0,
      ),
      ask(
        'who I am',
        () => ada.get('/users/me'),
        (me: { username: string }) => me.username === 'ada',
      ),
      ask(
        'the log',
        () => ada.get('/events?after=0'),
        ({ events }: { events: unknown[] }) => events.length > 0,
      ),
      ask(
        'a login',
        () => nobody.post('/login', { email: ada.email, password: PASSWORD }),
        () => true,
      ),
      ask(
        'a post',
        () => ada.post('/posts', { title, content: '' }),
        () => true,
      ),
      ask(
        'a vote',
        () => ada.put(`/posts/${first}/vote`),
        () => true,
      ),
      ask(
        'a sign-up',
        () => nobody.post('/users', { email: `${title}${accounts++}@example.org`, password: PASSWORD }),
        () => true,
      ),
    ]);
    asked.catch(() => undefined);
    return async () => {
      going = false;
      await asked;
      return [...refused];
    };
  };

  /** A client that comes back by itself, as a stock one does. */
  const listen = async () => {
    const socket = world.socket({ token: ada.token });
    const readies: Ready[] = [];
    const seqs: number[] = [];
    socket.on('ready', (ready: Ready) => {
      readies.push(ready);
      seqs.length = 0; // of another log
    });
    for (const name of ['post:created', 'post:updated', 'post:deleted'] as const)
      socket.on(name, (_post: unknown, { seq }: { seq: number }) => seqs.push(seq));
    const closes: string[] = [];
    socket.on('session:closed', ({ code }: { code: string }) => closes.push(code));
    await readyOf(socket);
    return { socket, heard: record(socket), readies, seqs, closes };
  };

  const served = () =>
    until(
      'the node to be ready',
      async () => (await world.anonymous.get('/readyz')).status === 200,
      BACK_WITHIN,
    );

  /** A post, and that the client hears it as the next after its position. */
  const hears = async ({ heard, readies, seqs }: Awaited<ReturnType<typeof listen>>, title: string) => {
    let id = 0;
    await until('a post to be taken', async () => {
      const { status, body } = await ada.post<{ id: number }>('/posts', { title, content: '' });
      id = body.id;
      return status === 201;
    });
    await until('the client to hear it', () => heard.some(({ post }) => post.id === id));
    expect(firstFault(seqs, readies.at(-1)?.seq ?? 0)).to.be.undefined;
  };

  for (const [how, putBack] of [
    ['pg_restore --clean', () => restore('--clean', '--if-exists')],
    [
      'pg_restore --clean, in one transaction',
      () => restore('--clean', '--if-exists', '--single-transaction'),
    ],
    [
      'a schema that was dropped',
      async () => {
        await owner.query('drop schema public cascade');
        await until('requests to be refused', async () => (await ada.get('/users/me')).status === 503);
        await owner.query('create schema public');
        await restore('--schema=public', '--no-comments');
      },
    ],
  ] as const)
    it(`answers rightly or 503, and serves the backup when it is there, each client told to read again: ${how}`, async () => {
      const client = await listen();
      await hears(client, 'after the backup');
      const stop = askMeanwhile('meanwhile');
      await putBack();
      await served();
      await until('the client to come back', () => client.readies.length === 2 && client.socket.connected);
      await until('a write to be taken', async () => (await ada.put(`/posts/${first}/vote`)).status === 200);
      const refused = await stop();
      if (how !== 'pg_restore --clean, in one transaction') expect(refused).to.not.be.empty;
      expect(client.closes).to.deep.equal(['reset']);
      expect(client.readies[1]?.epoch).to.not.equal(client.readies[0]?.epoch);
      let found: Answer | undefined;
      await until('a search to be answered', async () => {
        found = await ada.get('/posts?search=after');
        return found.status !== 503;
      });
      expect(found).to.include({ status: 200 });
      expect(found?.body).to.deep.equal([]);
      await hears(client, 'at last');
      client.socket.disconnect();
    });

  it('takes the rows alone back into the tables that are there, with their triggers', async () => {
    const bob = await world.user('bob');
    expect((await bob.patch('/users/me', { username: 'robert' })).status).to.equal(200);
    const rows = join(server.folder, 'rows.dump');
    await server.program('pg_dump', '--data-only', '--format=custom', `--file=${rows}`, url);
    const client = await listen();
    // As docs/operating.md says: nothing is deleted from the audit log otherwise.
    await owner.query(`
      do $$
      begin
        alter table audit_log disable trigger audit_log_refuse_change;
        execute (select 'truncate ' || string_agg(oid::regclass::text, ', ') from pg_class
                 where relnamespace = 'public'::regnamespace and relkind = 'r');
        alter table audit_log enable trigger audit_log_refuse_change;
      end
      $$`);
    await until('requests to be refused', async () => (await bob.get('/users/me')).status === 503);
    const to = ['--role=tidings', `--dbname=${server.url('tidings')}`];
    const how = ['--data-only', '--single-transaction', ...to, rows];
    expect((await server.program('pg_restore', ...how)).stderr).to.equal('');
    await served();
    await until('the client to be told', () => client.closes.includes('reset'));
    expect((await bob.get<{ username: string }>('/users/me')).body.username).to.equal('robert');
    const { status } = await world.anonymous.post('/users', {
      email: 'another-bob@example.org',
      username: 'bob',
      password: PASSWORD,
    });
    expect(status, 'a name that is kept').to.equal(409);
    client.socket.disconnect();
  });

  it('is put right by the two commands of the documents where some tables were restored without the others', async () => {
    const client = await listen();
    await hears(client, 'after the backup');
    await owner.query('truncate posts, votes, post_tallies cascade');
    const tables = ['posts', 'votes', 'post_tallies'].flatMap((table) => ['-t', table]);
    const how = ['--data-only', '--disable-triggers', ...tables, `--dbname=${server.url('tidings')}`];
    await server.program('pg_restore', ...how, dump);
    const epoch = await makeNewEpoch(world.ctx.db);
    await until('the client to come back', () => client.readies.at(-1)?.epoch === epoch);
    expect(client.closes).to.deep.equal(['reset']);
    const mismatches = async () =>
      (await examine(world.ctx.config, url, { schema: false }))
        .filter(({ what }) => what === 'fold' || what === 'tallies')
        .flatMap(({ findings }) => findings);
    const found = await mismatches();
    expect(found).to.not.be.empty;
    for (const finding of found) await repair(world.ctx.db, finding);
    expect(await mismatches()).to.be.empty;
    expect(await caughtUp(world)).to.be.above(0);
    // Anyone who reads the log from its start arrives at what the lists show.
    const { body: log } = await ada.get<{ events: { name: string; data: { id: number } }[] }>(
      `/events?after=0&epoch=${epoch}&limit=100`,
    );
    const told = new Set<number>();
    for (const { name, data } of log.events)
      if (name === 'post:created') told.add(data.id);
      else if (name === 'post:deleted') told.delete(data.id);
    const { body: posts } = await ada.get<{ id: number; votes: number; voted: boolean }[]>('/posts?sort=top');
    expect(posts.map(({ id, votes, voted }) => ({ id, votes, voted }))).to.deep.equal([
      { id: first, votes: 1, voted: true },
    ]);
    expect([...told]).to.deep.equal([first]);
    await hears(client, 'at last');
    client.socket.disconnect();
  });

  for (const table of ['posts', 'event_outbox', 'sessions'])
    it(`keeps its sockets while ${table} has another name, and continues where it was`, async () => {
      const client = await listen();
      await hears(client, 'before');
      const stop = askMeanwhile('meanwhile');
      await owner.query(`alter table ${table} rename to moved`);
      await until('requests to be refused', async () => (await ada.get('/users/me')).status === 503);
      await owner.query(`alter table moved rename to ${table}`);
      await served();
      await stop();
      await hears(client, 'after');
      expect(client.closes).to.deep.equal([]);
      expect(client.readies).to.have.length(1);
      client.socket.disconnect();
    });

  it('serves on where the owner of the tables has renamed a key, and tells conflicts as such', async () => {
    const names = {
      posts_owner_id_fkey: 'posts',
      votes_pkey: 'votes',
      users_pkey: 'users',
    };
    const rename = (from: (name: string) => string, to: (name: string) => string) =>
      owner.query(
        Object.entries(names)
          .map(([name, table]) => `alter table ${table} rename constraint ${from(name)} to ${to(name)}`)
          .join(';'),
      );
    await rename(
      (name) => name,
      (name) => `my_${name}`,
    );
    try {
      // An empty list is answered when it is known that no table is missing.
      const { status, body } = await ada.get('/posts?owner_id=999999');
      expect({ status, body }).to.deep.equal({ status: 200, body: [] });
      expect((await ada.post('/posts', { title: 'renamed', content: '' })).status).to.equal(201);
      const account = { email: 'ada2@example.org', password: PASSWORD, username: 'ada' };
      expect((await world.anonymous.post('/users', account)).status).to.equal(409);
      expect((await world.anonymous.get('/readyz')).status).to.equal(200);
    } finally {
      await rename(
        (name) => `my_${name}`,
        (name) => name,
      );
    }
  });

  it('refuses everything while the log has no head', async () => {
    await owner.query(
      'begin; create temporary table kept on commit preserve rows as table feed_head; delete from feed_head; commit',
    );
    const refused = async () => {
      const { status, headers } = await ada.get('/posts?sort=top');
      expect(status).to.be.oneOf([200, 503]);
      return status === 503 && headers.get('retry-after') !== null;
    };
    await until('a list to be refused', refused);
    expect((await world.anonymous.get('/readyz')).status).to.equal(503);
    await owner.query('insert into feed_head overriding system value table kept');
    await served();
    await until('a list to be told', async () => (await ada.get('/posts?sort=top')).status === 200);
  });
});
