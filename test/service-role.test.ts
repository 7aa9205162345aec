import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { migrate } from '../server/database/migrate.ts';
import { createEmptyDatabase, query, startTestPostgres, type TestDatabase } from './support/postgres.ts';
import { writePost } from './support/posts.ts';
import { ended, ready, startProgram } from './support/program.ts';
import { RawClient } from './support/raw-client.ts';
import { until } from './support/waiting.ts';
import { signUp } from './support/world.ts';

const environment = { NODE_ENV: 'test', BCRYPT_COST: '4', RATE_LIMITS: 'off', LOG_LEVEL: 'warn' };
const JWT_SECRET = 'x'.repeat(40);

describe('MIGRATION_DATABASE_URL', () => {
  const name = randomBytes(4).toString('hex');
  const [OWNER, SERVICE] = [`owner_${name}`, `service_${name}`];
  let adminUrl: string;
  const databases: TestDatabase[] = [];

  const as = (user: string, { url }: TestDatabase) =>
    Object.assign(new URL(url), { username: user, password: 'secret' }).href;
  /** Nobody may do anything in it but its owner. */
  const closedDatabase = async () => {
    const database = await createEmptyDatabase();
    databases.push(database);
    const { pathname } = new URL(database.url);
    await query(
      database.url,
      `alter database ${pathname.slice(1)} owner to ${OWNER};
       revoke all on database ${pathname.slice(1)} from public;
       grant connect on database ${pathname.slice(1)} to ${SERVICE};
       alter schema public owner to ${OWNER}; revoke all on schema public from public;
       alter default privileges for role ${OWNER} revoke execute on functions from public`,
    );
    return database;
  };

  before(async () => {
    ({ adminUrl } = await startTestPostgres());
    for (const role of [OWNER, SERVICE])
      await query(adminUrl, `create role ${role} login nosuperuser password 'secret'`);
  });
  after(async () => {
    for (const database of databases) {
      await query(database.url, `drop owned by ${SERVICE}; drop owned by ${OWNER}`);
      await database.drop();
    }
    for (const role of [OWNER, SERVICE]) await query(adminUrl, `drop role ${role}`);
  });

  it('makes the schema, and the service does all its work with a role that owns nothing', async () => {
    const database = await closedDatabase();
    const DATABASE_URL = as(SERVICE, database);
    const MIGRATION_DATABASE_URL = as(OWNER, database);
    const env = { ...environment, JWT_SECRET, DATABASE_URL, MIGRATION_DATABASE_URL, WORKERS: '2' };
    for (const round of ['the first start', 'one that finds nothing to do']) {
      const program = startProgram(env);
      try {
        await ready(program);
        const [ada, bob] = [await signUp(program.url), await signUp(program.url)];
        const client = await RawClient.join(program.url, { token: bob.token });
        const post = await writePost(ada, { title: `of ${round}` });
        expect((await bob.put(`/posts/${post.id}/vote`)).status).to.equal(200);
        expect((await ada.patch(`/posts/${post.id}`, { content: 'edited' })).status).to.equal(200);
        expect((await bob.get(`/posts?search=${round.split(' ')[1] ?? ''}`)).body).to.not.be.empty;
        expect((await ada.delete(`/posts/${post.id}`)).status).to.equal(204);
        await until('the events', () => client.seqs().length === 3);
        expect((await ada.post('/logout')).status).to.equal(204);
        expect(await bob.get('/readyz')).to.include({ status: 200 });

        const rows = await query(
          adminUrl,
          `select count(*) from pg_shdepend where refobjid = '${SERVICE}'::regrole and deptype = 'o'`,
        );
        expect(rows, 'what it owns').to.deep.equal([{ count: 0 }]);
        for (const statement of [
          'drop table votes',
          'alter table posts add x integer',
          'truncate votes',
          'create table mine ()',
          `create or replace function number_events() returns void language sql as ''`,
          `delete from "SequelizeMeta"`,
          `insert into "SequelizeMeta" values ('0')`,
        ])
          expect(await query(DATABASE_URL, statement).catch((error: unknown) => error), statement)
            .to.be.an('error')
            .with.property('code', '42501');
        const workers = readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8')
          .trim()
          .split(' ');
        expect(workers).to.have.length.above(1);
        for (const pid of workers)
          expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).to.not.contain('MIGRATION_DATABASE_URL');
        // As a migration under running nodes does: what it makes is the service's to use from its commit on.
        await query(MIGRATION_DATABASE_URL, 'create table if not exists made_later (x integer)');
        await query(DATABASE_URL, 'insert into made_later values (1)');
        client.terminate();
      } finally {
        await program.stop();
      }
      expect(program.code, program.stdout + program.stderr).to.equal(0);
      expect(program.stdout.replace(/^Tidings is ready.*\n/m, ''), round).to.equal('');
    }
  });

  it('must lead to the database of DATABASE_URL: otherwise neither is touched', async () => {
    const [one, other] = [await closedDatabase(), await closedDatabase()];
    const program = startProgram({
      ...environment,
      JWT_SECRET,
      DATABASE_URL: as(SERVICE, one),
      MIGRATION_DATABASE_URL: as(OWNER, other),
    });
    await ended(program);
    expect(program.code).to.equal(78);
    expect(program.stderr).to.contain('MIGRATION_DATABASE_URL and DATABASE_URL lead to two databases');
    expect(program.stderr).to.not.contain('secret');
    for (const { url } of [one, other])
      expect(await query(url, `select to_regclass('"SequelizeMeta"') as made`)).to.deep.equal([
        { made: null },
      ]);
  });

  it('is named, with its database, when it cannot be used', async () => {
    const database = await closedDatabase();
    const program = startProgram({
      ...environment,
      JWT_SECRET,
      DATABASE_URL: as(SERVICE, database),
      MIGRATION_DATABASE_URL: 'postgres://owner:secret@127.0.0.1:1/tidings',
    });
    await ended(program);
    expect(program.code).to.equal(1);
    expect(program.stderr).to.match(
      /^MIGRATION_DATABASE_URL: The database tidings at 127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/,
    );
    expect(program.stderr).to.not.contain('secret');
  });

  it('is asked for by a start whose role may not do what is pending, with what it lacks', async () => {
    const database = await closedDatabase();
    const refusal = async () => {
      const program = startProgram({ ...environment, JWT_SECRET, DATABASE_URL: as(SERVICE, database) });
      await ended(program);
      expect(program.code, program.stderr).to.equal(78);
      expect(program.stdout).to.not.contain('migrating');
      return program.stderr;
    };
    const address = `MIGRATION_DATABASE_URL to the address of`;
    expect(await refusal()).to.match(
      new RegExp(`${SERVICE} may not use the schema public: set ${address} ${OWNER}`),
    );

    await query(database.url, `grant usage on schema public to ${SERVICE}`);
    expect(await refusal()).to.match(
      new RegExp(
        `migrations are pending \\(\\S+-accounts.cjs to \\S+\\), and the role ${SERVICE} may not run them: it may ` +
          `not create anything in the schema public. Set ${address} the role that owns the schema \\(${OWNER}\\)`,
      ),
    );

    await migrate(as(OWNER, database));
    expect(await refusal()).to.match(
      new RegExp(`${SERVICE} may not read and write all of SequelizeMeta, .*votes: set ${address} ${OWNER}`),
    );

    await query(
      database.url,
      `grant select, insert, update, delete on all tables in schema public to ${SERVICE};
       alter function hot_rank(integer, timestamptz) cost 7`,
    );
    expect(await refusal()).to.match(
      new RegExp(
        `^A function has another text than in this version \\(hot_rank\\), and the role ${SERVICE} may not replace it: .* it does not ` +
          `own .* \\(${OWNER} does\\). Set ${address}`,
      ),
    );

    await query(
      database.url,
      `delete from "SequelizeMeta" where name = (select max(name) from "SequelizeMeta");
       grant create on schema public to ${SERVICE}`,
    );
    expect(await refusal()).to.match(
      new RegExp(
        `^A migration is pending \\(\\S+.cjs\\), and the role ${SERVICE} may not run it: it does not own .* and ` +
          `\\d+ more \\(${OWNER} does\\). Set ${address}`,
      ),
    );
  });
});
