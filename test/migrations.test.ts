import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import pg from 'pg';
import { compareSchemas } from '../server/database/drift.ts';
import { migrate, migrateDown } from '../server/database/migrate.ts';
import { identify } from '../server/database/embedded/process.ts';
import { withMigrationLock } from '../server/database/migration-lock.ts';
import { packageRoot } from '../server/paths.ts';
import { createDatabase, createEmptyDatabase, type TestDatabase } from './support/postgres.ts';
import { Stopwatch, until } from './support/waiting.ts';

const run = promisify(execFile);
const cli = join(
  dirname(createRequire(import.meta.url).resolve('sequelize-cli/package.json')),
  'lib/sequelize',
);

describe('Migrations', () => {
  let database: TestDatabase;
  let files: string[];

  before(async () => {
    files = (await readdir(join(packageRoot, 'migrations'))).filter((name) => name.endsWith('.cjs')).sort();
  });

  beforeEach(async () => {
    database = await createEmptyDatabase();
  });

  afterEach(() => database.drop());

  const sequelizeCli = (...args: string[]) =>
    run(process.execPath, [cli, ...args], {
      cwd: packageRoot,
      env: { ...process.env, DATABASE_URL: database.url },
    });

  it('run once, in the order of their names', async () => {
    expect(await migrate(database.url)).to.deep.equal(files);
    expect(await migrate(database.url)).to.deep.equal([]);
  });

  it('run once when many nodes boot at the same time', async () => {
    const made = await Promise.all([1, 2, 3, 4].map(() => migrate(database.url)));
    expect(made.flat()).to.deep.equal(files);
  });

  it('are done whole or not at all: one that was cut short is begun again', async () => {
    await withFolder(async (folder) => {
      const name = '20270101000001-two-steps.cjs';
      await writeFile(
        join(folder, name),
        `module.exports = {
           async up({ sequelize }) {
             await sequelize.query('create table first_step (id bigint)');
             await sequelize.query("select 1 / count(*) from pg_tables where tablename = 'what_was_missing'");
           },
         };`,
      );
      const failure = await migrate(database.url, undefined, { migrations: folder }).catch(
        (error: unknown) => error,
      );
      expect(String(failure)).to.equal(
        [
          `MigrationFailed: The migration ${name} failed: division by zero (22012)`,
          "  Statement: select 1 / count(*) from pg_tables where tablename = 'what_was_missing'",
          'It was rolled back: the database is as it was before it.',
        ].join('\n'),
      );
      const steps = await rows(
        database.url,
        `select relname as name from pg_class where relname = 'first_step'`,
      );
      expect(steps).to.be.empty;
      await rows(database.url, 'create table what_was_missing (id bigint)');
      expect(await migrate(database.url, undefined, { migrations: folder })).to.deep.equal([name]);
    });
  });

  it('are not noted as run when the connection was lost after what they did', async () => {
    await withFolder(async (folder) => {
      const name = '20270101000001-cut-off.cjs';
      await writeFile(
        join(folder, name),
        `let cut = false;
         module.exports = {
           async up({ sequelize }) {
             await sequelize.query('create table made (id bigint)');
             if (cut) return;
             cut = true;
             await sequelize.query('select pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
             // The pool has noticed by then.
             await new Promise((resolve) => setTimeout(resolve, 200));
           },
         };`,
      );
      const up = () => migrate(database.url, undefined, { migrations: folder });
      expect(String(await up().catch((error: unknown) => error))).to.match(
        /Connection terminated|not queryable/,
      );
      expect(await rows(database.url, 'select name from "SequelizeMeta"')).to.deep.equal([]);
      expect(await up()).to.deep.equal([name]);
      expect(await rows(database.url, 'select id from made')).to.deep.equal([]);
    });
  });

  it('are taken back whole or not at all', async () => {
    await withFolder(async (folder) => {
      const name = '20270101000001-two-steps.cjs';
      await writeFile(
        join(folder, name),
        `module.exports = {
           up: ({ sequelize }) => sequelize.query('create table first_step (id bigint)'),
           async down({ sequelize }) {
             await sequelize.query('drop table first_step');
             await sequelize.query("select 1 / count(*) from pg_tables where tablename = 'what_was_missing'");
           },
         };`,
      );
      await migrate(database.url, undefined, { migrations: folder });
      const down = () => migrateDown(database.url, undefined, folder);
      expect(String(await down().catch((error: unknown) => error)))
        .to.include(`Taking back the migration ${name} failed: division by zero`)
        .and.to.include('It was rolled back');
      await rows(database.url, 'create table what_was_missing (id bigint)');
      expect(await down()).to.deep.equal([name]);
    });
  });

  it('are run to one that is named, and taken back from there, by the commands, which tell a failure in some lines', async () => {
    const command = (...args: string[]) =>
      run(process.execPath, ['--import', 'tsx', 'scripts/db.ts', ...args], {
        cwd: packageRoot,
        env: { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: database.url },
      });
    const names = () => rows(database.url, 'select name from "SequelizeMeta" order by name');
    const [first = '', second = '', third = ''] = files;
    await command('db:migrate', '--to', second);
    expect(await names()).to.deep.equal([{ name: first }, { name: second }]);
    expect((await command('db:migrate:undo', '--name', second)).stdout).to.equal(`Taken back: ${second}\n`);
    expect(await names()).to.deep.equal([{ name: first }]);

    await rows(database.url, 'create view posts as select 1');
    const failure = await command('db:migrate', '--to', third).then(
      () => undefined,
      (error: unknown) => error as { code: number; stderr: string },
    );
    expect(failure).to.include({ code: 1 });
    expect(failure?.stderr)
      .to.include(`The migration ${second} failed: relation "posts" already exists (42P07)`)
      .and.to.include('It was rolled back')
      .and.to.have.property('length')
      .that.is.below(1500);
    await rows(database.url, 'drop view posts');
    await command('db:migrate', '--to', third);
    expect((await command('db:migrate:undo:all', '--to', second)).stdout).to.equal(
      `Taken back: ${third}, ${second}\n`,
    );
    expect(await names()).to.deep.equal([{ name: first }]);
  });

  it('of sequelize-cli end with the tool that runs it, and when the lock is lost', async () => {
    await withFolder(async (folder) => {
      await writeFile(
        join(folder, '20270101000001-endless.cjs'),
        `module.exports = {
           async up({ sequelize }) {
             await sequelize.query('drop table if exists running');
             await sequelize.query('create table running as select ' + process.pid + ' as pid');
             await new Promise((resolve) => setTimeout(resolve, 600000));
           },
         };`,
      );
      const endings: Record<string, (tool: ChildProcess) => unknown> = {
        'SIGTERM 143': (tool) => tool.kill('SIGTERM'),
        'lock 1': () =>
          rows(
            database.url,
            `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
             and database = (select oid from pg_database where datname = current_database())`,
          ),
      };
      for (const [ending, end] of Object.entries(endings)) {
        const args = ['--import', 'tsx', 'scripts/db.ts', 'db:migrate', '--migrations-path', folder];
        const env = { ...process.env, DATABASE_URL: database.url };
        const tool = spawn(process.execPath, args, { cwd: packageRoot, env, stdio: 'ignore' });
        const exited = once(tool, 'exit');
        let pid = 0;
        await until('sequelize-cli to run', async () => {
          const found = (await rows(database.url, 'select pid from running').catch(() => [])) as {
            pid: number;
          }[];
          pid = found[0]?.pid ?? 0;
          return pid !== 0;
        });
        await end(tool);
        expect((await exited)[0], ending).to.equal(Number(ending.split(' ')[1]));
        expect(await identify(pid), ending).to.equal(undefined);
        await rows(database.url, 'drop table running');
      }
    });
  });

  it('wait for the lock of a long read in short tries, in which others continue, and say whose it is', async () => {
    const folder = await folderInPackage();
    const reader = new pg.Client({ connectionString: database.url });
    const other = new pg.Client({ connectionString: database.url });
    for (const client of [reader, other]) client.on('error', () => undefined);
    try {
      await rows(database.url, 'create table watched (id bigint)');
      await writeFile(
        join(folder, '20270101000001-column.cjs'),
        `module.exports = { up: ({ sequelize }) => sequelize.query('alter table watched add column more text') };`,
      );
      await Promise.all([reader.connect(), other.connect()]);
      await reader.query('begin; select * from watched');
      const told: { message: string; extra: object | undefined }[] = [];
      const say = (message: string, extra?: object) => void told.push({ message, extra });
      let longest = 0;
      let going = true;
      const others = (async () => {
        while (going) {
          const watch = new Stopwatch();
          await other.query('select * from watched');
          longest = Math.max(longest, watch.ran);
          if (told.filter(({ message }) => message.includes('is waiting for a lock')).length >= 2)
            await reader.query('rollback');
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      })();
      await migrate(database.url, say, { migrations: folder });
      going = false;
      await others;
      expect(longest).to.be.below(2000);
      const { pid } = (await reader.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!;
      const waits = told.find(({ message }) => message.includes('is waiting for a lock'));
      expect(JSON.stringify(waits?.extra)).to.contain(`"pid":${pid}`);

      await rm(join(folder, '20270101000001-column.cjs'));
      await writeFile(
        join(folder, '20270101000002-column.cjs'),
        `module.exports = { up: ({ sequelize }) => sequelize.query('alter table watched add column yet text') };`,
      );
      await reader.query('begin; select * from watched');
      const failure = await migrate(database.url, say, { migrations: folder, timeLimit: 500 }).catch(
        (error: unknown) => error,
      );
      expect(String(failure)).to.match(new RegExp(`could not get its lock within.*pid ${pid} .*since`));
    } finally {
      await Promise.all([reader.end(), other.end()]);
      await rm(folder, { recursive: true });
    }
  });

  it('have their time for locks from their own beginning on, however long is taken to prepare them', async () => {
    const folder = await folderInPackage();
    const reader = new pg.Client({ connectionString: database.url });
    reader.on('error', () => undefined);
    try {
      await rows(database.url, 'create table watched (id bigint)');
      const name = '20270101000004-prepared.cjs';
      await writeFile(
        join(folder, name),
        `let prepared = false;
         module.exports = {
           prepare: async () => {
             if (!prepared) await new Promise((resolve) => setTimeout(resolve, 6000));
             prepared = true;
           },
           up: ({ sequelize }) => sequelize.query('alter table watched add column more text'),
         };`,
      );
      await reader.connect();
      await reader.query('begin; select * from watched');
      const say = (message: string) => {
        if (message.includes('is waiting for a lock')) void reader.query('rollback');
      };
      const ran = await migrate(database.url, say, { migrations: folder, timeLimit: 5000 });
      expect(ran).to.deep.equal([name]);
    } finally {
      await reader.end();
      await rm(folder, { recursive: true });
    }
  });

  it('do not wait for locks in a way of their own, in which others would wait behind them', async () => {
    await withFolder(async (folder) => {
      await writeFile(
        join(folder, '20270101000003-patient.cjs'),
        `module.exports = {
           up: ({ sequelize }) => sequelize.query("set local lock_timeout = '3s'; create table waited_for (id bigint)"),
         };`,
      );
      const failure = await migrate(database.url, undefined, { migrations: folder }).catch(
        (error: unknown) => error,
      );
      expect(String(failure)).to.contain('20270101000003-patient.cjs failed: It must not set lock_timeout');
      expect(await rows(database.url, `select relname from pg_class where relname = 'waited_for'`)).to.be
        .empty;
    });
  });

  it('leave nothing behind when they are all taken back, and run again', async () => {
    await migrate(database.url);
    expect(await migrateDown(database.url)).to.deep.equal(files.toReversed());
    const left = await rows(
      database.url,
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relname !~ '^SequelizeMeta'
       union all select proname from pg_proc where pronamespace = 'public'::regnamespace
       union all select typname from pg_type where typnamespace = 'public'::regnamespace and typname !~ 'SequelizeMeta'`,
    );
    expect(left).to.deep.equal([]);
    expect(await migrate(database.url)).to.deep.equal(files);
  });

  it('keep the same books as sequelize-cli, whichever of the two ran them', async () => {
    await sequelizeCli('db:migrate');
    expect(await migrate(database.url)).to.deep.equal([]);

    await migrateDown(database.url);
    await migrate(database.url);
    const { stdout } = await sequelizeCli('db:migrate:status');
    expect(stdout.match(/^up .*$/gm)).to.deep.equal(files.map((name) => `up ${name}`));
    await sequelizeCli('db:migrate:undo:all');
    expect(await migrate(database.url)).to.deep.equal(files);
  });

  it('make the same schema by sequelize-cli as at boot', async () => {
    await sequelizeCli('db:migrate');
    const other = await createDatabase();
    expect(await compareSchemas(database.url, other.url)).to.deep.equal({ up: [], down: [] });
    await other.drop();
  });

  it('that a newer version has run are reported and left alone', async () => {
    await migrate(database.url);
    await rows(database.url, `insert into "SequelizeMeta" (name) values ('29990101000000-future.cjs')`);
    const said: { message: string; extra: object | undefined }[] = [];
    expect(await migrate(database.url, (message, extra) => said.push({ message, extra }))).to.deep.equal([]);
    expect(said).to.have.length(1);
    expect(said[0]?.extra).to.deep.equal({ unknown: ['29990101000000-future.cjs'] });
  });

  it('take the texts of versions that were superseded before out of the log', async () => {
    await migrate(database.url);
    await migrateDown(database.url, '20261127000001-numbered-at.cjs');
    const told = (at: string) =>
      `json_build_object('id', 1, 'title', 'at ' || ${at}, 'owner', json_build_object('id', 7))`;
    await rows(
      database.url,
      `insert into outbox (name, post_id, data)
       select case n % 10 when 0 then 'post:created' else 'post:updated' end, n / 10, ${told('n')}
       from generate_series(0, 99) n`,
    );
    await rows(database.url, 'select * from number_events(500)');
    await migrate(database.url);
    await rows(database.url, 'select * from number_events(500)');
    expect(
      await rows(
        database.url,
        `select data ->> 'title' as title from event_log where data ->> 'title' <> '' order by seq`,
      ),
    ).to.deep.equal(Array.from({ length: 10 }, (_, post) => ({ title: `at ${post * 10 + 9}` })));
    expect(await rows(database.url, 'select * from event_redactions')).to.be.empty;
  });

  it('wait for an index that the process of a client which has ended still makes, and keep it', async () => {
    const folder = await folderInPackage();
    const clients = [1, 2].map(() => new pg.Client({ connectionString: database.url }));
    const [writer, maker] = clients as [pg.Client, pg.Client];
    try {
      await rows(database.url, 'create table watched (id bigint)');
      await writeFile(
        join(folder, '20270101000005-index.cjs'),
        `const { makeConcurrently } = require(${JSON.stringify(join(packageRoot, 'migrations/helpers/indexes.cjs'))});
         module.exports = {
           prepare: ({ sequelize }) => makeConcurrently(sequelize, { watched_idx: 'watched (id)' }),
           up: () => Promise.resolve(),
         };`,
      );
      for (const client of clients) await client.connect();
      await writer.query('begin; insert into watched values (1)');
      const made = maker.query('create index concurrently watched_idx on watched (id)');
      const index = () =>
        rows(database.url, `select oid::integer as id from pg_class where relname = 'watched_idx'`);
      await until('the index to be made', async () => (await index()).length > 0);
      const before = await index();
      const said: string[] = [];
      const migrated = migrate(database.url, (message) => said.push(message), { migrations: folder });
      await until('the migration to look at it', async () => {
        const looks = await rows(
          database.url,
          `select from pg_stat_activity where datname = current_database() and application_name = 'tidings migrations'
           and query ~ 'pg_stat_progress_create_index|drop index concurrently' and pid <> pg_backend_pid()`,
        );
        return looks.length > 0;
      });
      await writer.query('commit');
      await Promise.all([made, migrated]);
      expect(await index()).to.deep.equal(before);
      // One that wants its lock is in a deadlock with it, which ends either of them.
      expect(said).to.deep.equal(['migrating']);
    } finally {
      for (const client of clients) await client.end();
      await rm(folder, { recursive: true });
    }
  });

  it('do not wait for ever for a process that migrates, and say that they wait', async () => {
    const said: string[] = [];
    const failure = await withMigrationLock(
      database.url,
      () => undefined,
      () =>
        withMigrationLock(
          database.url,
          (message) => said.push(message),
          () => Promise.resolve(),
          200,
        ).catch((error: unknown) => error),
    );
    expect(String(failure)).to.match(/Another process has been migrating/);
    expect(said).to.deep.equal(['another process is migrating this database; waiting for it']);
  });

  it('stop when the lock is lost', async () => {
    const failure = await withMigrationLock(
      database.url,
      () => undefined,
      async (lock) => {
        lock.assertHeld();
        await rows(
          database.url,
          `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name = 'tidings migrations' and datname = current_database()`,
        );
        for (;;) {
          lock.assertHeld();
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      },
    ).catch((error: unknown) => error);
    expect(String(failure)).to.match(/lock was lost/);
  });

  it('that sequelize-cli generates are loaded by both', async () => {
    // What is to be shown is that they load although the package is one of ES modules.
    await withFolder(async (folder) => {
      await cp(join(packageRoot, 'migrations'), folder, { recursive: true });
      const where = ['--migrations-path', folder];
      await sequelizeCli('migration:generate', '--name', 'generated', ...where);
      const name = (await readdir(folder)).find((file) => /-generated\.c?js$/.test(file));
      expect(name).to.be.a('string');

      expect(await migrate(database.url, undefined, { migrations: folder })).to.include(name);
      await sequelizeCli('db:migrate:undo', ...where);
      await sequelizeCli('db:migrate', ...where);
      expect(await migrate(database.url, undefined, { migrations: folder })).to.deep.equal([]);
    });
  });
});

/** A folder inside the package, and out of the way of what looks at its sources meanwhile. */
/** Runs something with a folder for migrations, which may import packages. */
async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await folderInPackage();
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function folderInPackage(): Promise<string> {
  await mkdir(join(packageRoot, '.cache'), { recursive: true });
  return mkdtemp(join(packageRoot, '.cache/migrations-'));
}

async function rows(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}
