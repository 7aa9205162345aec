import { expect } from 'chai';
import fc from 'fast-check';
import type pg from 'pg';
import { createFeedPool, Database } from '../server/database/connection.ts';
import { createLogger } from '../server/logger.ts';
import { append } from '../server/log/append.ts';
import { type LogEntry, readLog } from '../server/log/reader.ts';
import { redacted } from '../server/log/redaction.ts';
import { pruneEvents } from '../server/log/retention.ts';
import { RingBuffer } from '../server/log/ring-buffer.ts';
import { postCreated } from '../server/posts/events.ts';
import type { EventType } from '../server/topics/event-type.ts';
import { type Note, noteAdded, noteChanged } from './support/note-events.ts';
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

async function headOf(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ seq: number }>('select seq from feed_head');
  return rows[0]!.seq;
}

/** Of an event that is nobody's words, goes away with nothing else and changes no relation. */
const plain = {
  authorId: null,
  containerType: null,
  containerId: null,
  erasesContainer: false,
  departure: null,
  relation: null,
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
        topics: ['feed', 'author:7', 'thread:5'],
        redaction: ['title', 'content', 'owner.username', 'tags', 'mentions'],
        ...plain,
        authorId: 7,
      },
      ...['note:added', 'note:changed'].map((name, at) => ({
        seq: 2 + at,
        name,
        entityType: 'note',
        entityId: 5,
        audience: 'user:9',
        topics: [],
        redaction: ['deep.words'],
        ...plain,
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

  it('takes the text out of all that a thread held when the thread goes, and out of nothing else', async () => {
    const inThread = (thread: number) => ({
      ...noteAdded,
      container: () => ({ type: 'thread', id: thread }),
    });
    const threadRemoved = {
      ...inThread(40),
      name: 'note:thread-removed' as const,
      erasesContainer: () => true,
    };
    const words = (id: number) => ({ id, reader: 9, words: `words ${id}` });
    const head = await headOf(pool);
    const write = (type: EventType<string, Note, object>, id: number) =>
      db.sequelize.transaction((tx) => append(tx, type, words(id)));
    await write(inThread(40), 41);
    await write(inThread(40), 42);
    await write(inThread(50), 51);
    await pool.query('select number_events(500)');
    const ring = new RingBuffer(head, 100, 1_000_000);
    for (const entry of await readLog(pool, head)) ring.push(entry);

    // Two that wait for their numbers with it: one before it, one after.
    await write(inThread(40), 43);
    await write(threadRemoved, 40);
    await write(inThread(40), 44);
    await pool.query('select number_events(500)');
    for (const entry of await readLog(pool, head + 3)) ring.push(entry);

    const kept = (entries: readonly LogEntry[]) =>
      entries.flatMap(({ json }) => /words \d+/.exec(json)?.[0] ?? []);
    const rest = ['words 51', 'words 40', 'words 44'];
    expect(kept(await readLog(pool, head))).to.deep.equal(rest);
    expect(kept(ring.after(head) ?? []), 'in memory').to.deep.equal(rest);
    const { rows } = await pool.query<{ data: string }>(
      'select data::text as data from event_log where seq > $1 order by seq',
      [head],
    );
    expect(
      rows.flatMap(({ data }) => /words \d+/.exec(data)?.[0] ?? []),
      'in the table',
    ).to.deep.equal(rest);
    const { rows: left } = await pool.query('select 1 from event_redactions');
    expect(left).to.be.empty;
  });

  it('says of each relation since which event the stream goes by it, in the order of the numbers', async () => {
    const related = (target: number, added: boolean) => ({
      ...noteAdded,
      relation: () => ({ kind: 'follow' as const, user_id: 9, target_id: target, added }),
    });
    const change = (target: number, added: boolean) =>
      db.sequelize.transaction((tx) => append(tx, related(target, added), { id: 1, reader: 9, words: '' }));
    const relations = async () =>
      (
        await pool.query<{ target: number; since: number }>(
          'select target_id as target, since_seq as since from stream_relations where user_id = 9 order by 1',
        )
      ).rows;
    const head = await headOf(pool);
    await change(1, true);
    await change(2, true);
    expect(await relations(), 'not numbered yet').to.be.empty;
    await pool.query('select number_events(500)');
    expect(await relations()).to.deep.equal([
      { target: 1, since: head + 1 },
      { target: 2, since: head + 2 },
    ]);
    await change(1, false);
    await change(2, false);
    await change(2, true);
    await change(3, true);
    await change(3, false);
    await pool.query('select number_events(500)');
    expect(await relations()).to.deep.equal([{ target: 2, since: head + 5 }]);
  });

  it('finds the events of threads, tags and single users by their topics, also where they leave one, until they are pruned', async () => {
    const head = await headOf(pool);
    const tagged = { ...postCreated, topics: () => ['feed', 'author:7', 'thread:60', 'tag:sea'] };
    await db.sequelize.transaction((tx) =>
      append(
        tx,
        tagged,
        { ...post, id: 60 },
        { topics: ['tag:land', 'feed'], name: 'post:deleted', data: { id: 60 } },
      ),
    );
    await db.sequelize.transaction((tx) => append(tx, noteAdded, { id: 61, reader: 9, words: 'x' }));
    await pool.query('select number_events(500)');
    const found = async () =>
      (
        await pool.query<{ topic: string; seq: number }>(
          'select topic, seq from event_topics where seq > $1 order by seq, topic',
          [head],
        )
      ).rows.map(({ topic, seq }) => `${topic} ${seq - head}`);
    expect(await found()).to.deep.equal(['tag:land 1', 'tag:sea 1', 'thread:60 1', 'user:9 2']);
    expect((await readLog(pool, head))[0]?.departure).to.deep.equal({
      topics: ['tag:land', 'feed'],
      name: 'post:deleted',
      data: { id: 60 },
    });
    await pruneEvents(-60_000).run(pool, 500);
    expect(await found()).to.be.empty;
    const { rows } = await pool.query('select 1 from event_topics');
    expect(rows, 'of any event').to.be.empty;
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
        title: fc.option(words),
        owner: fc.record({ id: fc.nat(), username: words }, { requiredKeys: ['id'] }),
        tags: fc.array(words, { maxLength: 3 }),
      },
      { requiredKeys: ['id'] },
    );
    const fields = fc.subarray(['title', 'owner.username', 'tags', 'nothing', 'owner.nothing', 'title.deep']);
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

  it('empties a text as a text and a list as a list, and leaves alone what is null', () => {
    const data = { title: null, content: 'words', tags: ['words'], mentions: [{ id: 1, username: 'ann' }] };
    expect(
      JSON.parse(redacted(JSON.stringify(data), ['title', 'content', 'tags', 'mentions'])),
    ).to.deep.equal({
      title: null,
      content: '',
      tags: [],
      mentions: [],
      redacted: true,
    });
  });
});
