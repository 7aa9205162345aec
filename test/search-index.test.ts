import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import pg from 'pg';
import { schemaDrift } from '../server/database/drift.ts';
import { migrate } from '../server/database/migrate.ts';
import { createDatabase, createEmptyDatabase, type TestDatabase } from './support/postgres.ts';

async function ask<T extends object>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

const SEARCH = `select p.id from posts p join users u on u.id = p.owner_id join post_tallies t on t.post_id = p.id
  where (p.published or false) and (p.title ilike '%xylophone%' or p.content ilike '%xylophone%')
  order by p.listed_at desc, p.id desc limit 11`;

describe('the index for searches', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  afterEach(() => database.drop());

  it('is what a rare word among many posts is found by', async () => {
    database = await createDatabase();
    await ask(
      database.url,
      `insert into users (email, username, password_hash) values ('ada@example.org', 'ada', 'x');
       insert into posts (owner_id, title, content)
       select 1, 'Post ' || n, repeat(md5(n::text) || ' ', 10) || case when n = 4321 then ' a Xylophone!' else '' end
       from generate_series(1, 20000) n;
       insert into post_tallies (post_id, hot) select id, 0 from posts`,
    );
    await ask(database.url, 'vacuum analyze');
    const plan = JSON.stringify(await ask(database.url, `explain ${SEARCH}`));
    expect(plan).to.contain('posts_title_trgm_idx').and.contain('posts_content_trgm_idx');
    expect(await ask<{ id: number }>(database.url, SEARCH)).to.have.lengthOf(1);
  });

  it('is done without, and that is said, where the extension may not be made', async () => {
    database = await createEmptyDatabase();
    const role = `search_${randomBytes(4).toString('hex')}`;
    const name = new URL(database.url).pathname.slice(1);
    await ask(
      database.url,
      `create role ${role} login password 'x' createdb; grant create, usage on schema public to ${role};
       revoke create on database ${name} from public, ${role}`,
    );
    const url = new URL(database.url);
    url.username = role;
    url.password = 'x';
    try {
      const warned = once(process, 'warning') as Promise<[Error & { code?: string }]>;
      await migrate(url.href);
      expect((await warned)[0].code).to.equal('TIDINGS_SEARCH_INDEX');
      expect(await ask(url.href, `select 1 from pg_extension where extname = 'pg_trgm'`)).to.be.empty;
      expect(await ask(url.href, SEARCH)).to.be.empty;
    } finally {
      await ask(database.url, `drop owned by ${role}; drop role ${role}`);
    }
  });

  it('stands in the models as in the migrations', async () => {
    database = await createEmptyDatabase();
    const without = await schemaDrift(database.url, {
      actual: migrate,
      wanted: async (url) => {
        await migrate(url);
        await ask(url, 'drop index posts_content_trgm_idx');
      },
    });
    expect(without.up, 'a difference that is there is seen').to.have.lengthOf(1);
    expect(without.up[0]).to.contain('posts_content_trgm_idx');
    expect((await schemaDrift(database.url)).up).to.be.empty;
  });
});
