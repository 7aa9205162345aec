import { expect } from 'chai';
import pg from 'pg';
import { createFeedPool, Database } from '../server/database/connection.ts';
import { createLogger } from '../server/logger.ts';
import { append, onAppended } from '../server/log/append.ts';
import { type LogEntry, readLog } from '../server/log/reader.ts';
import type { Numbered } from '../server/log/numbering.ts';
import { Sequencer } from '../server/log/sequencer.ts';
import { postDeleted } from '../server/posts/events.ts';
import { appendPosts } from './support/append-sql.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';

/** One write as its writer saw it. Times are of one monotonic clock, in milliseconds. */
interface Write {
  key: number;
  outcome: 'ok' | 'aborted';
  began: number;
  ended: number;
}

describe('the sequencer', () => {
  const log = createLogger('silent');
  let database: TestDatabase;
  let db: Database;
  let pool: pg.Pool;
  const running: Sequencer[] = [];
  const batches: Numbered[] = [];

  beforeEach(async () => {
    database = await createDatabase();
    db = new Database({ url: database.url, pool: 20, log });
    pool = createFeedPool(database.url, log, 5);
    batches.length = 0;
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((sequencer) => sequencer.stop()));
    await pool.end();
    await db.close();
    await database.drop();
  });

  const start = (on = pool): Sequencer => {
    const sequencer = new Sequencer(on, log, (batch) => batches.push(batch));
    running.push(sequencer);
    sequencer.start();
    return sequencer;
  };

  const count = async (sql: string) =>
    (await pool.query<{ n: number }>(`select count(*) as n from ${sql}`)).rows[0]!.n;
  const drained = (within?: number) =>
    until('the outbox to be empty', async () => (await count('event_outbox')) === 0, within);
  const wholeLog = async () => {
    const log: LogEntry[] = [];
    for (;;) {
      const page = await readLog(pool, log.at(-1)?.seq ?? 0, 100_000);
      if (page.length === 0) return log;
      log.push(...page);
    }
  };

  const number = () => pool.query('select * from number_events(500)');
  const tell = (name: string, postId: number, title?: string) =>
    pool.query(appendPosts('values ($1, $2::bigint, $3)'), [
      name,
      postId,
      title === undefined
        ? { id: postId }
        : { id: postId, title, owner: { id: 7, username: 'ada' }, votes: 3 },
    ]);
  const titles = (entries: readonly { json: string }[]) =>
    entries.map(({ json }) => (JSON.parse(json) as { title?: string }).title);

  it('takes the text of every version but the newest out of the log, a piece in each call, and nobody reads it meanwhile', async () => {
    const edits = 3000;
    await pool.query(
      appendPosts(`select 'post:updated', 1, json_build_object('id', 1, 'title', 'secret ' || n, 'owner', json_build_object('id', 7, 'username', 'ada'))
       from generate_series(1, $1::integer) n`),
      [edits],
    );
    const told = () => count(`event_log where data ->> 'title' <> ''`);
    for (let numbered = 500; numbered <= edits; numbered += 500) {
      expect((await number()).rows).to.deep.equal([{ first_seq: numbered - 499, last_seq: numbered }]);
      const read = titles(await wholeLog());
      expect(read.pop()).to.equal(`secret ${numbered}`);
      expect([...new Set(read)]).to.deep.equal(['']);
    }
    const redacted = { id: 1, title: '', owner: { id: 7, username: '' }, redacted: true };
    expect(JSON.parse((await wholeLog())[0]!.json)).to.deep.equal(redacted);
    start();
    await until('all of it to be cut', async () => (await count('event_redactions')) === 0);
    expect(await told()).to.equal(1);
    await tell('post:deleted', 1);
    await drained();
    await until('the last one', async () => (await told()) === 0);
    expect(await count('event_redactions')).to.equal(0);
    expect(new Set((await wholeLog()).slice(0, -1).map(({ json }) => json))).to.have.lengthOf(1);
  });

  it('takes out what is superseded in whatever order a post is told, also in one batch, and leaves other posts alone', async () => {
    await tell('post:created', 1, 'kept');
    await tell('post:created', 2, 'first');
    await number();
    expect(titles(await wholeLog())).to.deep.equal(['kept', 'first']);
    await tell('post:updated', 2, 'second');
    await number();
    expect(titles(await wholeLog())).to.deep.equal(['kept', '', 'second']);
    for (const title of ['third', 'fourth']) await tell('post:updated', 2, title);
    await tell('post:created', 3, 'short');
    await tell('post:deleted', 3);
    await number();
    expect(titles(await wholeLog())).to.deep.equal(['kept', '', '', '', 'fourth', '', undefined]);
    await tell('post:deleted', 2);
    await tell('post:created', 2, 'again');
    await number();
    await number();
    expect(titles(await wholeLog())).to.deep.equal([
      'kept',
      '',
      '',
      '',
      '',
      '',
      undefined,
      undefined,
      'again',
    ]);
    expect(await count(`event_log where data ->> 'title' <> ''`)).to.equal(2);
    expect(await count('event_redactions')).to.equal(0);
  });

  it('has a bounded number of posts to look at in each call, however many wait to be cut', async () => {
    await pool.query(`
      ${appendPosts(`select name, n, json_build_object('id', n, 'title', 'a secret', 'owner', json_build_object('id', 7, 'username', 'ada'))
      from (values ('post:created'), ('post:updated')) names (name), generate_series(1, 4000) n order by name, n`)}`);
    const before = async () => count('event_redactions');
    for (let call = 0; call < 16; call += 1) await number();
    // The second half of the calls has had as many to cut as were added.
    expect(await before()).to.be.at.most(500);
    await pool.query(
      `insert into event_redactions (entity_type, entity_id, before_seq)
       select 'post', n, 1 from generate_series(100000, 103000) n`,
    );
    let left = await before();
    while (left > 0) {
      await number();
      const now = await before();
      expect(left - now).to.be.within(1, 500);
      left = now;
    }
    expect(await count(`event_log where data ->> 'title' <> ''`)).to.equal(4000);
  });

  /** Writers that append one event each time, after a random while, and then commit or not. */
  async function write(writers: number, each: number): Promise<Write[]> {
    const writes: Write[] = [];
    let next = 0;
    const writer = async () => {
      for (let at = 0; at < each; at += 1) {
        const key = (next += 1);
        const began = performance.now();
        let outcome: Write['outcome'] = 'ok';
        try {
          await db.sequelize.transaction(async (tx) => {
            await append(tx, postDeleted, { id: key, owner_id: 7 });
            // The id is drawn and the commit is still to come: what a reader by serial id loses.
            await new Promise((resolve) => setTimeout(resolve, Math.random() * 15));
            if (Math.random() < 0.2) throw new Error('aborted on purpose');
          });
        } catch {
          outcome = 'aborted';
        }
        writes.push({ key, outcome, began, ended: performance.now() });
      }
    };
    await Promise.all(Array.from({ length: writers }, writer));
    return writes;
  }

  /** Where a log and the writes that it should tell of disagree; empty if nowhere. */
  function faults(
    entries: readonly Pick<LogEntry, 'seq' | 'entityId'>[],
    writes: readonly Write[],
  ): string[] {
    const found: string[] = [];
    for (const [at, { seq }] of entries.entries())
      if (seq !== at + 1) found.push(`${seq} in place of ${at + 1}`);
    const seqs = new Map<number, number[]>();
    for (const { seq, entityId } of entries) seqs.set(entityId, [...(seqs.get(entityId) ?? []), seq]);
    const placed: { write: Write; seq: number }[] = [];
    for (const write of writes) {
      const of = seqs.get(write.key) ?? [];
      if (of.length !== (write.outcome === 'ok' ? 1 : 0))
        found.push(`${write.outcome} write ${write.key}: ${of.length} events`);
      else if (of[0] !== undefined) placed.push({ write, seq: of[0] });
    }
    // In order of their beginnings: the highest number among those that had ended by then must be lower.
    const byEnd = [...placed].sort((a, b) => a.write.ended - b.write.ended);
    let highest = 0;
    let ended = 0;
    for (const { write, seq } of [...placed].sort((a, b) => a.write.began - b.write.began)) {
      for (let one = byEnd[ended]; one && one.write.ended < write.began; one = byEnd[(ended += 1)])
        highest = Math.max(highest, one.seq);
      if (seq < highest)
        found.push(`write ${write.key} has ${seq}, one that was answered before it began has ${highest}`);
    }
    return found;
  }

  it('numbers what sixteen writers commit, in the order that they saw, and nothing that they gave up', async () => {
    const sequencer = start();
    onAppended(db.sequelize, () => sequencer.wake());
    const writes = await write(16, 40);
    await drained();
    const entries = await wholeLog();
    expect(faults(entries, writes)).to.be.empty;
    expect(writes.filter(({ outcome }) => outcome === 'aborted')).not.to.be.empty;
    // The same check finds each of the faults that it is for.
    const swapped = entries.map((entry) => ({ ...entry, entityId: entries.at(-entry.seq)!.entityId }));
    expect(faults(swapped, writes)).not.to.be.empty;
    expect(faults(entries.slice(1), writes)).not.to.be.empty;
    expect(faults([...entries, { ...entries[0]!, seq: entries.length + 1 }], writes)).not.to.be.empty;
  });

  it('gives back what it has numbered as the log has it, if that is little text, and else only how much it was', async () => {
    await tell('post:created', 1, 'a secret');
    await tell('post:updated', 1, 'no secret');
    await tell('post:created', 2, 'another');
    start();
    await drained();
    await until('the batches', () => batches.at(-1)?.last === 3);
    expect(batches.flatMap(({ entries }) => entries ?? [])).to.deep.equal(await wholeLog());
    expect(titles(batches.flatMap(({ entries }) => entries ?? []))).to.deep.equal([
      '',
      'no secret',
      'another',
    ]);

    for (const facts of [
      `select 'post:created', 10 + n, json_build_object('id', 10 + n, 'title', repeat('x', 9000)) from generate_series(1, 4) n`,
      `select 'post:created', 20 + n, json_build_object('id', 20 + n) from generate_series(1, 60) n`,
    ]) {
      const before = batches.length;
      const head = batches.at(-1)!.last;
      await pool.query(appendPosts(facts));
      await drained();
      await until('the batch', () => batches.length > before);
      const batch = batches[before]!;
      expect(batch.first).to.equal(head + 1);
      expect(batch.last - head).to.be.oneOf([4, 60]);
      expect(batch.entries).to.equal(undefined);
    }
  });

  it('is right also when two number at once, each batch being told by one of them', async () => {
    const other = createFeedPool(database.url, log, 2);
    try {
      const both = [start(), start(other)];
      onAppended(db.sequelize, () => both.forEach((sequencer) => sequencer.wake()));
      const writes = await write(16, 30);
      await drained();
      expect(faults(await wholeLog(), writes)).to.be.empty;
      await Promise.all(running.splice(0).map((sequencer) => sequencer.stop()));
      const told = [...batches].sort((a, b) => a.first - b.first);
      let head = 0;
      for (const { first, last } of told) {
        expect(first).to.equal(head + 1);
        head = last;
      }
      expect(head).to.equal(await count('event_log'));
    } finally {
      await other.end();
    }
  });

  it('continues when its connections are killed, also while it numbers', async () => {
    const sequencer = start();
    onAppended(db.sequelize, () => sequencer.wake());
    const admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    let killed = 0;
    let writing = true;
    const killer = (async () => {
      while (writing) {
        const { rows } = await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where application_name = 'tidings-feed' and datname = current_database() and state = 'active'`,
        );
        killed += rows.length;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    try {
      const writes = await write(8, 60);
      writing = false;
      await killer;
      await until('the outbox to be empty', async () => {
        const { rows } = await admin.query<{ n: string }>('select count(*) as n from event_outbox');
        return Number(rows[0]?.n) === 0;
      });
      expect(killed).to.be.above(0);
      expect(faults(await wholeLog(), writes)).to.be.empty;
    } finally {
      writing = false;
      await admin.end();
    }
  });

  it('is not held up by a transaction that has appended and does not end', async () => {
    const sequencer = start();
    onAppended(db.sequelize, () => sequencer.wake());
    const slow = await db.sequelize.transaction();
    await append(slow, postDeleted, { id: 1, owner_id: 7 });
    await db.sequelize.transaction((tx) => append(tx, postDeleted, { id: 2, owner_id: 7 }));
    await until('the fast one', async () => (await count('event_log')) === 1);
    await slow.commit();
    await until('the slow one', async () => (await count('event_log')) === 2);
    expect((await wholeLog()).map(({ entityId }) => entityId)).to.deep.equal([2, 1]);
  });

  it('finds by itself what was committed by a process that then died', async () => {
    start();
    await pool.query(appendPosts(`values ('post:deleted', 5, '{"id":5}')`));
    await until('its number', async () => (await count('event_log')) === 1);
  });

  it('drains five thousand waiting events in their order', async () => {
    await pool.query(
      appendPosts(`select 'post:deleted', n, json_build_object('id', n) from generate_series(1, 5000) n`),
    );
    start();
    await drained();
    const entries = await wholeLog();
    expect(entries).to.have.lengthOf(5000);
    expect(entries.every(({ seq, entityId }, at) => seq === at + 1 && entityId === seq)).to.be.true;
    for (const { first, last } of batches) expect(last - first).to.be.below(500);
  });

  it('is not misled by what PostgreSQL thinks of an outbox that was empty when it looked', async () => {
    await pool.query(appendPosts(`values ('post:created', 1, '{"id":1}')`));
    start();
    await drained();
    await pool.query('vacuum analyze event_outbox');
    await pool.query('vacuum analyze event_log');
    // With the plan for one row this took two minutes, and takes two seconds.
    await pool.query(
      `insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data)
       select 'post:updated', 'post', n, 'public', array['feed', 'thread:' || n], 'previous', '{}',
         json_build_object('id', n)
       from generate_series(1, 100000) n`,
    );
    await drained(60_000);
    expect(await count('event_log')).to.equal(100_001);
  });

  it('gives every number back when numbering is rolled back', async () => {
    await pool.query(appendPosts(`values ('post:deleted', 5, '{"id":5}')`));
    const client = await pool.connect();
    await client.query('begin');
    expect((await client.query('select * from number_events(10)')).rows).to.deep.equal([
      { first_seq: 1, last_seq: 1 },
    ]);
    // Somebody else is told that one is at it, and does not wait.
    expect((await pool.query('select * from number_events(10)')).rows).to.deep.equal([
      { first_seq: null, last_seq: null },
    ]);
    await client.query('rollback');
    client.release();
    expect((await pool.query('select * from number_events(10)')).rows).to.deep.equal([
      { first_seq: 1, last_seq: 1 },
    ]);
    expect((await pool.query('select * from number_events(10)')).rows).to.be.empty;
  });

  it('a COMMIT that the database answers with ROLLBACK is an error, and not an acknowledged write', async () => {
    const attempt = db.sequelize.transaction(async (tx) => {
      await append(tx, postDeleted, { id: 1, owner_id: 7 });
      await db.sequelize.query('select 1/0', { transaction: tx }).catch(() => undefined);
    });
    const error = await attempt.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(Error);
    expect((error as Error).message).to.include('ROLLBACK');
    expect(await count('event_outbox')).to.equal(0);
  });
});
