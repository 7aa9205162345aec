import { expect } from 'chai';
import fc from 'fast-check';
import type pg from 'pg';
import { createFeedPool, Database } from '../server/database/connection.ts';
import { createLogger } from '../server/logger.ts';
import { append } from '../server/log/append.ts';
import { readLog } from '../server/log/reader.ts';
import { redacted } from '../server/log/redaction.ts';
import { postCreated } from '../server/posts/events.ts';
import { noteAdded, noteChanged } from './support/note-events.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';

const post = {
  id: 5,
  title: 'A title',
  content: 'A text',
  published: true,
  created_at: '2026-01-01T00:00:00.000Z',
  published_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  version: 1,
  owner_id: 7,
  owner: { id: 7, username: 'ada' },
  votes: 0,
  rev: 0,
};

describe('the log of events about anything', () => {
  const log = createLogger('silent');
  let database: TestDatabase;
  let db: Database;
  let pool: pg.Pool;

  before(async () => {
    database = await createDatabase();
    db = new Database({ url: database.url, pool: 2, log });
    pool = createFeedPool(database.url, log, 2);
  });
  after(async () => {
    await db.close();
    await pool.end();
    await database.drop();
  });

  it('numbers what it has never heard of, and takes out what is superseded of one entity and of no other', async () => {
    const note = { id: 5, reader: 9, words: 'first words' };
    await db.sequelize.transaction((tx) => append(tx, postCreated, post));
    await db.sequelize.transaction((tx) => append(tx, noteAdded, note));
    await pool.query('select number_events(500)');
    await db.sequelize.transaction((tx) => append(tx, noteChanged, { ...note, words: 'last words' }));
    await pool.query('select number_events(500)');

    const entries = await readLog(pool, 0);
    expect(entries.map(({ at: _at, json: _json, ...entry }) => entry)).to.deep.equal([
      {
        seq: 1,
        name: 'post:created',
        entityType: 'post',
        entityId: 5,
        audience: 'public',
        topics: ['feed', 'author:7'],
        redaction: ['title', 'content', 'owner.username'],
      },
      ...['note:added', 'note:changed'].map((name, at) => ({
        seq: 2 + at,
        name,
        entityType: 'note',
        entityId: 5,
        audience: 'user:9',
        topics: [],
        redaction: ['deep.words'],
      })),
    ]);
    expect(entries.map(({ json }) => JSON.parse(json) as unknown)).to.deep.equal([
      post,
      { id: 5, deep: { words: '' }, redacted: true },
      { id: 5, deep: { words: 'last words' } },
    ]);
    const { rows } = await pool.query(`select seq from event_log where data::text like '%first words%'`);
    expect(rows, 'in the table').to.be.empty;
  });

  it('shows a node that knows posts alone what is for everyone, and of everything else only that it is there', async () => {
    await db.sequelize.transaction((tx) => append(tx, postCreated, { ...post, id: 6 }));
    await db.sequelize.transaction((tx) =>
      append(tx, noteAdded, { id: 6, reader: 9, words: 'for one reader' }),
    );
    await pool.query('select number_events(500)');
    const { rows } = await pool.query('select name, data from events order by seq desc limit 2');
    expect(rows).to.deep.equal([
      { name: 'hidden', data: {} },
      { name: 'post:created', data: { ...post, id: 6 } },
    ]);
  });

  it('takes no event that does not say for whom it is, nor what it is about', async () => {
    const whole = {
      name: 'note:added',
      entity_type: 'note',
      entity_id: 1,
      audience: 'public',
      topics: ['feed'],
      supersedes: 'nothing',
      redaction: [],
      data: { id: 1 },
    };
    for (const member of Object.keys(whole)) {
      const event = { ...whole, [member]: undefined };
      const attempt = pool.query('select append_events($1::json)', [JSON.stringify([event])]);
      const code = await attempt.then(
        () => undefined,
        (error: unknown) => (error as { code?: string }).code,
      );
      expect(code, `without ${member}`).to.equal('23502');
    }
    await pool.query('select append_events($1::json)', [JSON.stringify([whole])]);
  });

  it('takes out in the database what a node takes out of its memory', async () => {
    const words = fc.string({ unit: fc.constantFrom('a', '"', '\\', ' ', 'ä', '{', '😀', '.') });
    const payload = fc.record(
      {
        id: fc.nat(),
        title: words,
        owner: fc.record({ id: fc.nat(), username: words }, { requiredKeys: ['id'] }),
        tags: fc.array(words, { maxLength: 3 }),
      },
      { requiredKeys: ['id'] },
    );
    const fields = fc.subarray(['title', 'owner.username', 'nothing', 'owner.nothing', 'title.deep']);
    await fc.assert(
      fc.asyncProperty(payload, fields, async (data, emptied) => {
        const { rows } = await pool.query<{ json: string }>('select redacted($1::json, $2)::text as json', [
          JSON.stringify(data),
          emptied,
        ]);
        expect(JSON.parse(redacted(JSON.stringify(data), emptied))).to.deep.equal(JSON.parse(rows[0]!.json));
      }),
      { numRuns: 100 },
    );
  });
});
