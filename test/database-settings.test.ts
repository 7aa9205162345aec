import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { QueryTypes } from 'sequelize';
import { readConfig } from '../server/config.ts';
import { examine } from '../server/doctor/examine.ts';
import { withConnection } from '../server/database/client.ts';
import { migrate } from '../server/database/migrate.ts';
import { requireUsableDatabase } from '../server/database/requirements.ts';
import { createDatabase, startTestPostgres, type TestDatabase } from './support/postgres.ts';
import { expectProblem } from './support/problems.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

const refusal = (url: string, connections = 10): Promise<string> =>
  requireUsableDatabase(url, connections).then(
    () => 'none',
    (error: unknown) => String(error),
  );

/** Settings that a database may have of its own, a few at a time. */
const settings: Record<string, string>[] = [
  { datestyle: 'SQL, DMY', intervalstyle: 'iso_8601', timezone: 'Asia/Kathmandu', extra_float_digits: '0' },
  { datestyle: 'German', bytea_output: 'escape', standard_conforming_strings: 'off', array_nulls: 'off' },
  {
    default_transaction_isolation: 'serializable',
    default_transaction_deferrable: 'on',
    synchronous_commit: 'off',
    session_replication_role: 'replica',
    transform_null_equals: 'on',
    backslash_quote: 'off',
    client_min_messages: 'error',
    client_encoding: 'LATIN1',
    row_security: 'off',
  },
  {
    statement_timeout: '500ms',
    lock_timeout: '100ms',
    idle_in_transaction_session_timeout: '500ms',
    idle_session_timeout: '300ms',
    work_mem: '64kB',
    temp_file_limit: '64kB',
  },
  {
    gin_fuzzy_search_limit: '1',
    exit_on_error: 'on',
    restrict_nonsystem_relation_kind: 'view, foreign-table',
    quote_all_identifiers: 'on',
    default_text_search_config: 'pg_catalog.german',
    default_table_access_method: 'heap',
  },
  {
    enable_indexscan: 'off',
    enable_bitmapscan: 'off',
    enable_hashjoin: 'off',
    plan_cache_mode: 'force_generic_plan',
    jit_above_cost: '0',
    xmloption: 'document',
    default_toast_compression: 'pglz',
    check_function_bodies: 'off',
    escape_string_warning: 'off',
    lc_messages: 'C',
    lc_numeric: 'C',
  },
];

/** Of these, what only a superuser may change: a role that has another value of one is refused. */
const SUPERUSERS = new Set(['session_replication_role', 'temp_file_limit', 'lc_messages']);

describe('a database with settings of its own', () => {
  for (const some of settings) {
    it(`serves as any other: ${Object.keys(some).join(', ')}`, async () => {
      const database = await createDatabase();
      const admin = new pg.Client({ connectionString: database.url });
      await admin.connect();
      for (const [name, value] of Object.entries(some))
        await admin.query(
          `alter database ${new URL(database.url).pathname.slice(1)} set ${name} = '${value}'`,
        );
      await admin.end();
      const world = await createWorld({}, database);
      try {
        await round(world);
      } finally {
        await world.close();
      }
    });
  }

  it('serves as any other with settings of its role, also when they change while it runs', async () => {
    const database = await createDatabase();
    const role = `role_${randomBytes(4).toString('hex')}`;
    const name = new URL(database.url).pathname.slice(1);
    const admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    await admin.query(
      `create role ${role} login password 'secret'; grant all on database ${name} to ${role};
       grant usage on schema public to ${role}; grant all on all tables in schema public to ${role};
       grant all on all sequences in schema public to ${role}`,
    );
    const set = async (some: Record<string, string>) => {
      for (const [setting, value] of Object.entries(some))
        if (!SUPERUSERS.has(setting)) await admin.query(`alter role ${role} set ${setting} = '${value}'`);
    };
    const url = Object.assign(new URL(database.url), { username: role, password: 'secret' }).href;
    const world = await createWorld({}, { url, drop: () => Promise.resolve() });
    try {
      for (const some of settings) {
        await set(some);
        await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
          role,
        ]);
        await until('new connections', async () => (await world.anonymous.get('/readyz')).status === 200);
        await until('a write', async () => (await world.user().catch(() => undefined)) !== undefined);
        await round(world);
      }
      const found = await examine(world.ctx.config, url, { schema: false });
      expect(found.flatMap(({ what, findings }) => (what === 'database' ? [] : findings))).to.deep.equal([]);
    } finally {
      await world.close();
      await admin.query(`drop owned by ${role}; drop role ${role}`);
      await admin.end();
      await database.drop();
    }
  });

  for (const whose of ['database', 'role'] as const)
    it(`is not ready while new connections are read-only by its ${whose}, whatever those that are open may`, async () => {
      const database = await createDatabase();
      const role = `role_${randomBytes(4).toString('hex')}`;
      const name = new URL(database.url).pathname.slice(1);
      const admin = new pg.Client({ connectionString: (await startTestPostgres()).adminUrl });
      await admin.connect();
      await admin.query(`create role ${role} superuser login password 'secret'`);
      const url = Object.assign(new URL(database.url), { username: role, password: 'secret' }).href;
      const world = await createWorld({}, { url, drop: () => Promise.resolve() });
      const readiness = () => world.anonymous.get<{ parts: { writes: object } }>('/readyz');
      const refused = async () =>
        /^tidings_writes_refused (\S+)$/m.exec((await world.anonymous.get<string>('/metrics')).body)?.[1];
      /** Makes the node open some connections anew, of either pool. */
      const renewSome = () =>
        admin.query(
          `select pg_terminate_backend(pid) from (
             select distinct on (application_name) pid from pg_stat_activity
             where usename = $1 and application_name like 'tidings%' order by application_name, backend_start) oldest`,
          [role],
        );
      const clause = whose === 'database' ? `database ${name}` : `role ${role}`;
      try {
        const ada = await world.user();
        const post = (title: string) => ada.post('/posts', { title, content: '' });
        // Several connections are open from before.
        await Promise.all(Array.from({ length: 20 }, (_, n) => ada.get(`/posts?limit=${n + 1}`)));
        expect((await post('before')).status).to.equal(201);
        expect((await readiness()).status).to.equal(200);

        await admin.query(`alter ${clause} set default_transaction_read_only = on`);
        await until('not ready', async () => (await readiness()).status === 503);
        expect((await readiness()).body.parts.writes).to.deep.equal({
          status: 'down',
          reason: 'The database is read-only (default_transaction_read_only is on).',
        });
        await until('the metric', async () => (await refused()) === '1');
        for (let n = 0; n < 5; n += 1) {
          await renewSome();
          expectProblem(await post('refused'), 503, 'unavailable');
          // Ready again for a moment is what a mixture of old and new connections would make it.
          const looks = await Promise.all(Array.from({ length: 5 }, () => readiness()));
          expect(looks.map(({ status }) => status)).to.deep.equal([503, 503, 503, 503, 503]);
        }

        await admin.query(`alter ${clause} reset default_transaction_read_only`);
        await until('ready', async () => (await readiness()).status === 200);
        const users = await Promise.all(Array.from({ length: 8 }, () => world.user()));
        for (let n = 0; n < 3; n += 1) {
          const written = users.map((user) => user.post('/posts', { title: 'after', content: '' }));
          expect((await Promise.all(written)).map(({ status }) => status)).to.deep.equal(
            Array.from({ length: 8 }, () => 201),
          );
        }
        const events = async () => (await world.pool.query('select from event_outbox')).rowCount;
        await until('all of them are numbered', async () => (await events()) === 0);
        expect((await readiness()).status).to.equal(200);
        await until('the metric', async () => (await refused()) === '0');
      } finally {
        await world.close();
        await database.drop();
        await admin.query(`drop role ${role}`);
        await admin.end();
      }
    });

  async function round(world: World): Promise<void> {
    const ada = await world.user();
    const written = await ada.post<{ id: number; created_at: string }>(
      '/posts',
      { title: 'Grüße \\ from İstanbul', content: "it's 100 %" },
      { 'idempotency-key': 'once' },
    );
    expect(written.status).to.equal(201);
    const { id } = written.body;
    expect(Math.abs(Date.parse(written.body.created_at) - Date.now())).to.be.below(60_000);
    expect((await ada.request('PUT', `/posts/${id}/vote`)).status).to.equal(200);
    const edited = await ada.patch<{ title: string }>(`/posts/${id}`, { title: 'edited \\ İ' });
    expect(edited.body.title).to.equal('edited \\ İ');
    for (const sort of ['new', 'top', 'hot']) {
      const { body } = await ada.get<{ id: number; votes: number }[]>(`/posts?sort=${sort}&search=edited`);
      expect(body.map((post) => [post.id, post.votes])).to.deep.equal([[id, 1]]);
    }
    await until('both events are told', async () => {
      const { body } = await ada.get<{ events: { data: { id: number } }[] }>('/events?after=0');
      return body.events.filter(({ data }) => data.id === id).length === 2;
    });
    const [session] = await world.ctx.db
      .share('service')
      .query<{ rows: string; ends: string }>(
        `select current_setting('gin_fuzzy_search_limit') as rows, current_setting('exit_on_error') as ends`,
        { type: QueryTypes.SELECT },
      );
    expect(session, 'no row is left out, and no error ends a session').to.deep.equal({
      rows: '0',
      ends: 'off',
    });
    const login = await world.anonymous.post('/login', { email: ada.email, password: PASSWORD });
    expect(login.status).to.equal(200);
    expect((await world.anonymous.get('/readyz')).status).to.equal(200);
    expect((await ada.request('DELETE', `/posts/${id}`)).status).to.equal(204);
    const { rows } = await world.pool.query('select post_id from votes');
    expect(rows, 'what hangs on it goes with it').to.deep.equal([]);
  }
});

describe('a database on which the service cannot run', () => {
  let admin: pg.Client;

  before(async () => {
    admin = new pg.Client({ connectionString: (await startTestPostgres()).adminUrl });
    admin.on('error', () => undefined);
    await admin.connect();
  });
  after(() => admin.end());

  for (const [how, said] of [
    ["encoding 'LATIN1' locale_provider libc locale 'C'", /LATIN1.*UTF8 is required.*create database/],
    ["encoding 'SQL_ASCII' locale_provider libc locale 'C'", /SQL_ASCII.*UTF8 is required.*create database/],
    ["encoding 'UTF8' locale_provider icu icu_locale 'tr' locale 'C'", /"IRIS" to "iris".*create database/],
  ] as const)
    it(`is refused with a sentence: ${how}`, async () => {
      await admin.query(`create database unusable template template0 ${how}`);
      const url = new URL((await startTestPostgres()).adminUrl);
      url.pathname = '/unusable';
      try {
        expect(await refusal(url.href)).to.match(said);
      } finally {
        await admin.query('drop database unusable with (force)');
      }
    });

  it('is refused with a sentence if it has the tables of another application, which stay as they are', async () => {
    await admin.query("create database unusable template template0 encoding 'UTF8'");
    const url = new URL((await startTestPostgres()).adminUrl);
    url.pathname = '/unusable';
    try {
      await withConnection(url.href, { name: 'test' }, async (client) => {
        await client.query('create table users (id int); create table other (id int)');
        expect(await refusal(url.href)).to.match(/another application: users\..*create database/);
        await client.query(
          'create table "SequelizeMeta" (name text); insert into "SequelizeMeta" values (\'theirs\')',
        );
        expect(await refusal(url.href)).to.match(/another application: users\./);
        await client.query('insert into "SequelizeMeta" values (\'20261124000001-accounts.cjs\')');
        expect(await refusal(url.href), 'migrations of ours that were cut off').to.equal('none');
        await client.query('drop table "SequelizeMeta"; drop table users');
        expect(await refusal(url.href), "other names are in nobody's way").to.equal('none');
      });
    } finally {
      await admin.query('drop database unusable with (force)');
    }
  });

  it('is refused with a sentence if the tables of another application belong to another role', async () => {
    await admin.query("create database unusable template template0 encoding 'UTF8'");
    const role = `role_${randomBytes(4).toString('hex')}`;
    await admin.query(`create role ${role} login password 'secret'`);
    const url = new URL((await startTestPostgres()).adminUrl);
    url.pathname = '/unusable';
    const own = Object.assign(new URL(url), { username: role, password: 'secret' }).href;
    try {
      await withConnection(url.href, { name: 'test' }, async (client) => {
        await client.query(`create table orders (id int); grant all on schema public to ${role}`);
        const fault = await migrate(own).catch(String);
        expect(fault).to.match(/another application, which belong to .*: orders\. .*create database/);
        expect(fault).to.not.include('MIGRATION_DATABASE_URL');
        await client.query('create table users (id int)');
        expect(await refusal(own)).to.match(/another application: users\./);
        await client.query('create table "SequelizeMeta" (name text)');
        expect(await refusal(own), 'it is not known what was run').to.match(/may not read and write all of/);
        await client.query(`grant select on "SequelizeMeta" to ${role}`);
        expect(await refusal(own)).to.match(/another application: users\./);
        await client.query('insert into "SequelizeMeta" values (\'20261124000001-accounts.cjs\')');
        expect(await refusal(own), 'migrations of ours that were cut off').to.match(/may not read and write/);
      });
    } finally {
      await admin.query('drop database unusable with (force)');
      await admin.query(`drop role ${role}`);
    }
  });

  it('is refused with a sentence for settings of its role that nothing can be done about', async () => {
    const database = await createDatabase();
    const role = `role_${randomBytes(4).toString('hex')}`;
    const name = new URL(database.url).pathname.slice(1);
    const url = Object.assign(new URL(database.url), { username: role, password: 'secret' }).href;
    await admin.query(`create role ${role} login password 'secret'`);
    const owner = new pg.Client({ connectionString: database.url });
    await owner.connect();
    await owner.query('create schema elsewhere');
    await owner.query(
      `grant usage on schema public, elsewhere to ${role}; grant all on all tables in schema public to ${role}`,
    );
    await owner.end();
    try {
      for (const [setting, said] of [
        [
          "session_replication_role = 'replica'",
          `session_replication_role = replica (alter role ${role} in database ${name} reset session_replication_role)`,
        ],
        ['search_path = elsewhere, public', 'creates new ones in elsewhere: alter role'],
        ['search_path = pg_temp, public', 'creates tables in pg_temp'],
        ['search_path = pg_catalog', 'which search_path (pg_catalog) does not reach'],
        ["search_path = ''", 'does not reach'],
        ['default_transaction_read_only = on', 'default_transaction_read_only is on'],
      ] as const) {
        await admin.query(`alter role ${role} in database ${name} set ${setting}`);
        expect(await refusal(url), setting)
          .to.match(/^ConfigError/)
          .and.to.contain(said);
        await admin.query(`alter role ${role} in database ${name} reset all`);
      }
      expect(await refusal(url)).to.equal('none');
    } finally {
      await database.drop();
      await admin.query(`drop role ${role}`);
    }
  });

  it('is refused with a sentence for what its role lacks', async () => {
    const database: TestDatabase = await createDatabase();
    const name = new URL(database.url).pathname.slice(1);
    try {
      expect(await refusal(database.url)).to.equal('none');
      expect(await refusal(database.url, 5000)).to.match(/and 5000 are needed/);
      await admin.query(`alter database ${name} set default_transaction_read_only = on`);
      expect(await refusal(database.url)).to.match(/default_transaction_read_only/);
      await admin.query(`alter database ${name} reset default_transaction_read_only`);
      await admin.query(`alter database ${name} set search_path = nowhere`);
      expect(await refusal(database.url)).to.match(/schema public.*search_path/);
      const [seen] = await examine(readConfig({ DATABASE_URL: database.url }), database.url);
      expect(seen?.findings[0]?.what, 'by the doctor too').to.match(/schema public.*search_path/);
    } finally {
      await database.drop();
    }
  });
});
