import { expect } from 'chai';
import pg from 'pg';
import { readConfig } from '../server/config.ts';
import { examine } from '../server/doctor/examine.ts';
import { requireUsableDatabase } from '../server/database/requirements.ts';
import { createDatabase, startTestPostgres, type TestDatabase } from './support/postgres.ts';
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

describe('a database with settings of its own', function () {
  this.timeout(60_000);

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
      const { body } = await ada.get<{ events: { name: string }[] }>('/events?after=0');
      return body.events.length === 2;
    });
    const login = await world.anonymous.post('/login', { email: ada.email, password: PASSWORD });
    expect(login.status).to.equal(200);
    expect((await world.anonymous.get('/readyz')).status).to.equal(200);
    expect((await ada.request('DELETE', `/posts/${id}`)).status).to.equal(204);
    const { rows } = await world.pool.query('select post_id from votes');
    expect(rows, 'what hangs on it goes with it').to.deep.equal([]);
  }
});

describe('a database on which the service cannot run', function () {
  this.timeout(60_000);
  let admin: pg.Client;

  before(async () => {
    admin = new pg.Client({ connectionString: (await startTestPostgres()).adminUrl });
    admin.on('error', () => undefined);
    await admin.connect();
  });
  after(() => admin.end());

  for (const [how, said] of [
    ["encoding 'LATIN1' locale_provider libc locale 'C'", /LATIN1.*UTF8 is needed.*create database/],
    ["encoding 'SQL_ASCII' locale_provider libc locale 'C'", /SQL_ASCII.*UTF8 is needed.*create database/],
    ["encoding 'UTF8' locale_provider icu icu_locale 'tr' locale 'C'", /"iris" of "IRIS".*create database/],
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
