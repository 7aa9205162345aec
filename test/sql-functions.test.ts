import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import pg from 'pg';
import { readConfig } from '../server/config.ts';
import {
  FUNCTIONS,
  FUNCTIONS_SINCE,
  readFunctionFiles,
  stampFunctionFile,
} from '../server/database/functions.ts';
import { migrate, migrateDown } from '../server/database/migrate.ts';
import { examine } from '../server/doctor/examine.ts';
import { packageRoot } from '../server/paths.ts';
import { createDatabase, createEmptyDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';

/** The files of a build: its migrations and its functions, which a test may change. */
class Build {
  readonly folder: string;
  readonly said: string[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  get sources() {
    return { migrations: join(this.folder, 'migrations'), functions: join(this.folder, 'functions') };
  }

  migrate(url: string): Promise<string[]> {
    const log = (message: string, extra: object = {}) =>
      void this.said.push(`${message} ${JSON.stringify(extra)}`);
    return migrate(url, log, this.sources);
  }

  /** Changes a text as its author does: with a new version. */
  async change(name: string, change: (sql: string) => string): Promise<void> {
    const file = join(this.sources.functions, `${name}.sql`);
    await writeFile(file, change(await readFile(file, 'utf8').catch(() => '')));
    await this.stamp(name);
  }

  async stamp(name: string): Promise<void> {
    const files = await readFunctionFiles(this.sources.functions);
    const file = files.find((one) => one.name === name);
    if (file) await writeFile(join(this.sources.functions, `${name}.sql`), stampFunctionFile(file));
  }

  async addMigration(name: string, up: string, down: string): Promise<void> {
    await writeFile(
      join(this.sources.migrations, name),
      `module.exports = {
         up: ({ sequelize }) => sequelize.query(${JSON.stringify(up)}),
         down: ({ sequelize }) => sequelize.query(${JSON.stringify(down)}),
       };`,
    );
  }
}

/** SQL for whether a function `p` is one of Tidings, and of no extension. */
const OURS = `p.pronamespace = 'public'::regnamespace and not exists (
  select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')`;

describe('SQL functions in files', () => {
  let database: TestDatabase;
  let client: pg.Client;
  const folders: string[] = [];

  beforeEach(async () => {
    database = await createDatabase();
    await connect();
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

  const connect = async () => {
    client = new pg.Client({ connectionString: database.url });
    client.on('error', () => undefined);
    await client.connect();
  };
  /** In place of the database that has everything, one that has nothing. */
  const startEmpty = async () => {
    await client.end();
    await database.drop();
    database = await createEmptyDatabase();
    await connect();
  };
  const query = async <T extends object>(sql: string): Promise<T[]> => (await client.query<T>(sql)).rows;
  const textOf = async (name: string) =>
    (await query<{ text: string }>(`select prosrc as text from pg_proc where proname = '${name}'`))
      .map(({ text }) => text)
      .join('\n');
  /** Which row of the catalogue each function is: another one after it was replaced. */
  const rowsOf = async () =>
    new Map(
      (
        await query<{ name: string; row: string }>(
          `select oid::regprocedure::text as name, xmin::text as row from pg_proc where pronamespace = 'public'::regnamespace`,
        )
      ).map(({ name, row }) => [name, row]),
    );
  const build = async (from = packageRoot) => {
    // Inside the package, so that the migrations are CommonJS here too.
    await mkdir(join(packageRoot, '.cache'), { recursive: true });
    const made = new Build(await mkdtemp(join(packageRoot, '.cache/build-')));
    folders.push(made.folder);
    await cp(join(from, 'migrations'), made.sources.migrations, { recursive: true });
    await cp(from === packageRoot ? FUNCTIONS : join(from, 'functions'), made.sources.functions, {
      recursive: true,
    });
    return made;
  };
  /** hot_rank, by another formula. */
  const weigh = (by: number) => (sql: string) => sql.replace(/ \/ \d+$/m, ` / ${by}`);

  it('are all that the schema has, and each has its version in the first line', async () => {
    const files = await readFunctionFiles();
    const made = await query<{ name: string; count: number }>(
      `select p.proname as name, count(*)::integer as count from pg_proc p where ${OURS}
       group by p.proname order by p.proname collate "C"`,
    );
    expect(made).to.deep.equal(
      files.filter(({ makes }) => makes > 0).map(({ name, makes }) => ({ name, count: makes })),
    );
    for (const { name, version, stamped, digest } of files) {
      expect(stamped, `${name}: npm run db:functions`).to.equal(digest);
      expect(version, name).to.be.above(0);
    }
    expect(await readFile(join(packageRoot, 'migrations', FUNCTIONS_SINCE), 'utf8')).to.not.be.empty;
  });

  it('find their tables whatever the search_path of their caller', async () => {
    // Whatever is named in the body of one that has no search_path of its own.
    const strays = await query(
      `select p.proname, named.pattern from pg_proc p
       join (
         select '(from|join|into|update)\\s+' || relname || '\\M' as pattern from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
         union all select '\\m' || p.proname || '\\(' from pg_proc p where ${OURS}
       ) named on p.prosrc ~ named.pattern
       where ${OURS} and not coalesce('search_path=public, pg_temp' = any (p.proconfig), false)`,
    );
    expect(strays).to.deep.equal([]);
    await query(
      `set search_path = '';
       insert into public.users (email, username, password_hash) values ('a@example.org', 'ada', 'x'), ('b@example.org', 'bob', 'x');
       update public.users set username = 'ada2' where username = 'ada';
       insert into public.posts (owner_id, title, content) select id, 't', 'c' from public.users;
       insert into public.post_tallies (post_id, hot) select id, public.hot_rank(0, listed_at) from public.posts;
       update public.posts set published = false, title = 'other';
       update public.posts set published = true;
       delete from public.users where username = 'bob'`,
    );
    const [kept] = await query<{ count: number }>('select count(*) from public.kept_usernames');
    expect(Number(kept?.count)).to.equal(2);
    // A table of somebody else's of the same name is none of theirs.
    await query(
      'create temporary table feed_head as select 5::smallint as id; set search_path = pg_temp, public',
    );
    expect(await query('select seq::text, floor::text from public.open_feed(null, 0, 0)')).to.deep.equal([
      { seq: '0', floor: '0' },
    ]);
  });

  it('are replaced when their text has changed, and only these', async () => {
    const before = await rowsOf();
    const later = await build();
    await later.change('hot_rank', weigh(50_000));
    expect(await later.migrate(database.url)).to.deep.equal([]);
    expect(await textOf('hot_rank')).to.include('/ 50000');
    const after = await rowsOf();
    const replaced = [...after].filter(([name, row]) => before.get(name) !== row).map(([name]) => name);
    expect(replaced).to.deep.equal(['hot_rank(integer,timestamp with time zone)']);
    expect(later.said).to.deep.equal(['replacing functions {"functions":["hot_rank"]}']);
    await later.migrate(database.url);
    expect(await rowsOf()).to.deep.equal(after);
  });

  it('are replaced whole or not at all, and not by what PostgreSQL does not understand', async () => {
    const before = await rowsOf();
    const later = await build();
    await later.change('hot_rank', weigh(50_000));
    await later.change('redacted', (sql) => sql.replace('foreach field', 'for each field'));
    const failure = await later.migrate(database.url).catch((error: unknown) => error);
    expect(String(failure)).to.include('syntax error');
    expect(await rowsOf()).to.deep.equal(before);
  });

  it('may need what a migration adds, and a migration the functions that are new with it', async () => {
    const later = await build();
    await later.addMigration(
      '20990101000001-places.cjs',
      `create table places (id bigint primary key, told bigint);
       alter table posts add column place_id bigint;
       create trigger places_tell before insert on places for each row execute function tell_place();
       insert into places (id) values (1)`,
      'drop table places; alter table posts drop column place_id',
    );
    await later.addMigration(
      '20990101000002-place-names.cjs',
      'alter table places add column name text',
      'alter table places drop column name',
    );
    await later.change(
      'tell_place',
      () => `create or replace function tell_place() returns trigger
             language plpgsql set search_path from current as $$
             begin
               new.told := (select count(*) from posts where place_id = new.id);
               return new;
             end
             $$;\n`,
    );
    // Of a language whose bodies are looked at when they are made, by a name that comes after that of the one it calls.
    await later.change(
      'zones',
      () => `create or replace function zones() returns setof text language sql set search_path from current as $$
               select name from places where id = hot_rank(0, now()) or id = area()
             $$;\n`,
    );
    await later.change(
      'area',
      () => `create or replace function area() returns bigint language sql set search_path from current as $$
               select count(*) from places where name is not null
             $$;\n`,
    );
    await later.change('hot_rank', (sql) =>
      sql.replace('extract(epoch', '(select count(*) from posts where place_id is null) * 0 + extract(epoch'),
    );
    const names = ['20990101000001-places.cjs', '20990101000002-place-names.cjs'];
    expect(await later.migrate(database.url), 'where there is something').to.deep.equal(names);
    expect(
      await query(`select told::text, hot_rank(0, now()) > 0 as ranked, area()::text from places`),
    ).to.deep.equal([{ told: '0', ranked: true, area: '0' }]);

    await startEmpty();
    expect((await later.migrate(database.url)).slice(-2), 'where there is nothing').to.deep.equal(names);
    expect(
      await query(`select told::text, hot_rank(0, now()) > 0 as ranked, area()::text from places`),
    ).to.deep.equal([{ told: '0', ranked: true, area: '0' }]);
    expect(await later.migrate(database.url)).to.deep.equal([]);
  });

  it('keep the text that they have until the migrations are through: the nodes that run know no other', async () => {
    const later = await build();
    await later.addMigration(
      '20990101000001-look.cjs',
      `create table seen as select prosrc as text from pg_proc where proname = 'hot_rank'`,
      'drop table seen',
    );
    await later.change('hot_rank', weigh(50_000));
    await later.migrate(database.url);
    const [seen] = await query<{ text: string }>('select text from seen');
    expect(seen?.text).to.include('/ 45000');
    expect(await textOf('hot_rank')).to.include('/ 50000');
  });

  it('of a newer build stay when an older one starts, which says so, until its migrations are taken back', async () => {
    const older = await build();
    const newer = await build();
    await newer.change('hot_rank', weigh(50_000));
    await newer.addMigration(
      '20990101000001-places.cjs',
      'create table places (id bigint)',
      'drop table places',
    );
    await newer.change('cast_votes', (sql) => sql.replace('-- Votes', '-- The votes'));
    await newer.migrate(database.url);
    const made = await rowsOf();
    expect(await older.migrate(database.url)).to.deep.equal([]);
    expect(await rowsOf()).to.deep.equal(made);
    expect(older.said).to.deep.equal([
      'the database was migrated by a newer version of Tidings {"unknown":["20990101000001-places.cjs"]}',
      'functions of a newer version of Tidings are left unchanged {"functions":["cast_votes","hot_rank"]}',
    ]);

    // As sequelize-cli does it: it knows nothing of functions.
    await query(`drop table places; delete from "SequelizeMeta" where name like '2099%'`);
    await older.migrate(database.url);
    expect(await textOf('hot_rank')).to.include('/ 45000');
    await newer.migrate(database.url);
    expect(await textOf('hot_rank')).to.include('/ 50000');
  });

  it('of a newer build stay also when it has brought no migration', async () => {
    const older = await build();
    const newer = await build();
    await newer.change('hot_rank', weigh(50_000));
    await newer.migrate(database.url);
    await older.migrate(database.url);
    expect(await textOf('hot_rank')).to.include('/ 50000');
    expect(older.said).to.deep.equal([
      'functions of a newer version of Tidings are left unchanged {"functions":["hot_rank"]}',
    ]);
    const newest = await build(newer.folder);
    await newest.change('hot_rank', weigh(60_000));
    await newest.migrate(database.url);
    await newer.migrate(database.url);
    expect(await textOf('hot_rank')).to.include('/ 60000');
  });

  it('take other arguments beside the old ones, and old ones are dropped where their file says so', async () => {
    const newer = await build();
    await newer.change(
      'hot_rank',
      (sql) => `${sql}
        create or replace function hot_rank(votes integer, listed_at timestamptz, weight integer) returns double precision
        language sql as $$ select hot_rank(votes * weight, listed_at) $$;\n`,
    );
    await newer.migrate(database.url);
    expect([...(await rowsOf()).keys()].filter((name) => name.startsWith('hot_rank'))).to.have.length(2);
    const newest = await build(newer.folder);
    const firstLine = (sql: string) => `${sql.split('\n')[0]}\n`;
    await newest.change(
      'redacted',
      (sql) => `${firstLine(sql)}drop function if exists redacted(json, text[]);\n`,
    );
    await newest.migrate(database.url);
    expect([...(await rowsOf()).keys()].filter((name) => name.startsWith('redacted'))).to.deep.equal([
      'redacted(json)',
    ]);
    await newest.change(
      'redacted',
      (sql) =>
        `${firstLine(sql)}drop function if exists redacted(json, text[]);\ndrop function if exists redacted(json);\n`,
    );
    await newest.migrate(database.url);
    expect(await textOf('redacted')).to.equal('');
    const made = await rowsOf();
    await newest.migrate(database.url);
    expect(await rowsOf()).to.deep.equal(made);
  });

  it('that were changed by hand, dropped or moved are told by the doctor, and put right by the next start', async () => {
    const functionsOf = async () => {
      const examined = await examine(readConfig({ DATABASE_URL: database.url }), database.url, {
        schema: false,
      });
      const [functions] = examined.filter(({ what }) => what === 'functions');
      return { findings: functions?.findings.map(({ what }) => what), hint: functions?.hint };
    };
    expect(await functionsOf()).to.deep.equal({ findings: [], hint: undefined });
    await query(`
      create or replace function hot_rank(votes integer, listed_at timestamptz) returns double precision
        language sql stable parallel safe as $$ select 0.0::double precision $$;
      alter function number_events(integer) security definer;
      alter function find_posts(tsquery, text[], bigint) set search_path = elsewhere;
      comment on function search_blocks(bigint, bigint) is 'what it does';
      drop function append_events(json);
    `);
    const text = (name: string) =>
      `The function ${name} does not have the text of this version: npm run db:migrate.`;
    expect(await functionsOf()).to.deep.equal({
      findings: [
        'The function append_events is missing: npm run db:migrate.',
        text('find_posts'),
        text('hot_rank'),
        text('number_events'),
        text('search_blocks'),
      ],
      hint: undefined,
    });
    await migrate(database.url);
    expect(await functionsOf()).to.deep.equal({ findings: [], hint: undefined });

    const newer = await build();
    await newer.change('hot_rank', weigh(50_000));
    await newer.migrate(database.url);
    expect(await functionsOf()).to.deep.equal({
      findings: [],
      hint: 'of a newer version, left unchanged: hot_rank',
    });
  });

  it('are restored as the migrations had made them when the change to files is taken back', async () => {
    const definitions = () =>
      query(
        `select pg_get_functiondef(p.oid) as definition, obj_description(p.oid, 'pg_proc') as comment from pg_proc p
         where ${OURS} order by 1`,
      );
    await startEmpty();
    const before = await build();
    for (const name of await readdir(before.sources.migrations))
      if (name >= FUNCTIONS_SINCE && name.endsWith('.cjs')) await rm(join(before.sources.migrations, name));
    await before.migrate(database.url);
    const former = await definitions();
    expect(former).to.have.length.above(20);
    const later = await build();
    await later.change(
      'hot_rank',
      (sql) =>
        `drop function if exists hot_rank(integer, timestamptz);\n${sql.replace('votes integer', 'count integer').replace('votes, 1', 'count, 1')}`,
    );
    await later.change(
      'added',
      () => 'create or replace procedure added() language sql as $$ select 1 $$;\n',
    );
    await later.migrate(database.url);
    expect(await query('select from former_functions')).to.have.length(former.length);
    expect(await migrateDown(database.url, '20261128002202-numbering-tells.cjs')).to.include(FUNCTIONS_SINCE);
    expect(await definitions()).to.deep.equal(former);
  });

  for (const end of ['rollback', 'commit'])
    it(`are tried again while somebody else changes one, up to the ${end}`, async () => {
      const other = new pg.Client({ connectionString: database.url });
      other.on('error', () => undefined);
      await other.connect();
      const later = await build();
      await later.change('hot_rank', weigh(50_000));
      try {
        const [own] = (await other.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
        await other.query('begin; alter function hot_rank(integer, timestamptz) cost 5');
        const migrating = later.migrate(database.url);
        migrating.catch(() => undefined);
        for (const turn of ['first', 'second'])
          await until(`the ${turn} wait`, async () => {
            // Not by the other one: in one transaction the list of sessions stays as it was.
            const rows = await query<{ waits: boolean }>(
              `select exists (select from pg_stat_activity where ${own?.pid} = any (pg_blocking_pids(pid))) as waits`,
            );
            return (
              rows[0]?.waits === true &&
              later.said.filter((text) => text.includes('is waiting for a lock')).length >=
                Number(turn === 'second')
            );
          });
        await other.query(end);
        await migrating;
      } finally {
        await other.end();
      }
      expect(await textOf('hot_rank')).to.include('/ 50000');
      expect(await query(`select procost from pg_proc where proname = 'hot_rank'`)).to.deep.equal([
        { procost: 100 },
      ]);
    });
});
