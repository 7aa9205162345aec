import { expect } from 'chai';
import pg from 'pg';
import { fillCommunity, sizeAt } from '../load/fill/community.ts';
import { withConnection } from '../server/database/client.ts';
import { withModels } from '../server/database/target.ts';
import { examine } from '../server/doctor/examine.ts';
import { MOST_FOUND } from '../server/database/check.ts';
import { findFoldMismatches } from '../server/doctor/fold-check.ts';
import { repair } from '../server/doctor/repair.ts';
import { eventTypes } from '../server/event-registry.ts';
import { append } from '../server/log/append.ts';
import type { PostView } from '../server/contract.ts';
import { postUpdated } from '../server/posts/events.ts';
import { postFold } from '../server/posts/fold.ts';
import { refoldPosts } from '../server/posts/folding.ts';
import { findWrongTallies } from '../server/votes/checks.ts';
import { until } from './support/waiting.ts';
import { createDatabase } from './support/postgres.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

describe('the doctor', () => {
  let world: World;
  let alice: TestUser;
  let database: pg.Client;

  before(async () => {
    world = await createWorld();
    alice = await world.user('alice');
    database = new pg.Client({ connectionString: world.databaseUrl });
    await database.connect();
  });
  after(async () => {
    await database.end();
    await world.close();
  });

  async function write(title: string): Promise<PostView> {
    const { body } = await alice.post<PostView>('/posts', { title, content: 'text' });
    await until('the event', async () => (await numbered(body.id)) > 0);
    return body;
  }

  async function numbered(postId: number): Promise<number> {
    return (await database.query('select 1 from event_log where entity_id = $1', [postId])).rows.length;
  }

  /** Findings by what was looked at; the test server's own settings are not its subject. */
  async function findings(): Promise<Record<string, string[]>> {
    const found = (await examine(world.ctx.config, world.databaseUrl, { schema: false })).filter(
      ({ what, findings }) => what !== 'database' && findings.length > 0,
    );
    return Object.fromEntries(found.map(({ what, findings }) => [what, findings.map((one) => one.what)]));
  }

  async function repairAll(): Promise<void> {
    for (const { findings } of await examine(world.ctx.config, world.databaseUrl, { schema: false })) {
      for (const finding of findings) await repair(world.ctx.db, finding);
    }
  }

  it('finds nothing where nothing is wrong', async () => {
    const post = await write('well');
    await alice.put(`/posts/${post.id}/vote`);
    await alice.patch(`/posts/${post.id}`, { title: 'better' });
    await until('both events', async () => (await numbered(post.id)) === 2);
    expect(await findings()).to.deep.equal({});
  });

  it('finds nothing in a community that the load tool has made, which searches find', async () => {
    const filled = await createDatabase();
    const { url } = filled;
    try {
      await withConnection(url, { name: 'tidings fill' }, (client) => fillCommunity(client, sizeAt(0.0001)));
      const found = await examine(world.ctx.config, url, { schema: false });
      const faults = found.filter(({ what }) => what !== 'database').flatMap(({ findings }) => findings);
      expect(faults.map(({ what }) => what)).to.be.empty;
      expect(await withModels(url, (db) => refoldPosts(db))).to.deep.equal({ looked: 1000, changed: 0 });
      expect(await withConnection(url, { name: 'tidings doctor' }, wordsMissed)).to.be.empty;
    } finally {
      await filled.drop();
    }
  });

  it('compares the log with the posts range by range, wherever their ids lie among those of other events', async () => {
    const filled = await createDatabase();
    try {
      await withConnection(filled.url, { name: 'tidings fill' }, async (client) => {
        await fillCommunity(client, sizeAt(0.001));
        // A log of some days: of all posts it has the newest tenth, and the first one, which was edited; and follows.
        await client.query(`
          delete from event_log where entity_type = 'post' and entity_id between 2 and 9000;
          update event_log set created_at = now();
          update feed_head set floor = 1;
          analyze event_log;
          set work_mem = '64kB';
          set temp_file_limit = '256kB';`);
        expect(await findFoldMismatches(client, postFold, eventTypes, 100)).to.deep.equal([]);
        await client.query(`update posts set content = 'other text' where id in (1, 9500)`);
        const found = await findFoldMismatches(client, postFold, eventTypes, 100);
        expect(found.map(({ what }) => what)).to.deep.equal(
          [1, 9500].map((id) => `Post ${id}: the log does not match the database: its content.`),
        );
      });
    } finally {
      await filled.drop();
    }
  });

  /** Words of posts that searches for a part of them would not find. */
  async function wordsMissed(client: pg.Client): Promise<string[]> {
    const { rows } = await client.query<{ word: string }>(
      `select distinct k.word from posts p, unnest(tsvector_to_array(p.search_keys)) as k (word)
       where strpos(k.word, ' ') = 0 and not exists (select from search_words w where w.word = k.word)`,
    );
    return rows.map(({ word }) => word);
  }

  it('tells a bounded number of faults at once, and that there are more', async () => {
    await database.query('begin');
    await database.query(
      `insert into posts (owner_id, title, content) select $1, 'untold', '' from generate_series(1, $2)`,
      [alice.id, MOST_FOUND + 5],
    );
    try {
      for (const found of [
        await findWrongTallies(database),
        await findFoldMismatches(database, postFold, eventTypes),
        await findFoldMismatches(database, postFold, eventTypes, 10),
      ]) {
        expect(found).to.have.lengthOf(MOST_FOUND + 1);
        expect(found.at(-1)).to.deep.equal({
          what: `There are more than these ${MOST_FOUND}. Repair them, then run the check again.`,
        });
      }
    } finally {
      await database.query('rollback');
    }
  });

  it('hints at an index for searches where there is none, and at posts that they wait for, which is no fault', async () => {
    const hints = async () => {
      const all = await examine(world.ctx.config, world.databaseUrl, { schema: false });
      return all.flatMap(({ hint }) => hint ?? []);
    };
    expect(await hints()).to.be.empty;
    const { rows } = await database.query<{ definition: string }>(
      `select pg_get_indexdef('posts_search_keys_idx'::regclass) as definition`,
    );
    await database.query('drop index posts_search_keys_idx');
    const [hint] = await hints();
    expect(hint).to.contain('create index concurrently posts_search_keys_idx on posts using gin ((array[');
    expect(await findings()).to.deep.equal({});
    await database.query(rows[0]!.definition);
    expect(await hints()).to.be.empty;
  });

  it('finds a tally that is not its votes, and counts it again for every client', async () => {
    const post = await write('counted');
    const socket = world.socket({ token: alice.token });
    await new Promise((resolve) => socket.once('ready', resolve));
    const told: number[] = [];
    socket.on('votes', (tallies) => {
      for (const tally of tallies) if (tally.post_id === post.id) told.push(tally.votes);
    });
    await database.query('insert into votes (user_id, post_id) values ($1, $2)', [alice.id, post.id]);
    expect(await findings()).to.deep.equal({
      tallies: [`Post ${post.id} has 1 vote, and its tally says 0.`],
    });
    await repairAll();
    expect(await findings()).to.deep.equal({});
    await until('the socket hears the right number', () => told.at(-1) === 1);
  });

  it('finds posts that are not found by just the tags and mentions that they have', async () => {
    const post = await write(`#quay and #harbour by @${alice.username}`);
    const other = await write('#quay');
    await database.query(`delete from post_tags where post_id = $1 and tag = 'quay'`, [post.id]);
    await database.query(`insert into post_tags select 'pier', listed_at, id from posts where id = $1`, [
      other.id,
    ]);
    await database.query('delete from post_mentions where post_id = $1', [post.id]);
    expect(await findings()).to.deep.equal({
      references: [
        `Post ${post.id} is not found by the tags that it has.`,
        `Post ${other.id} is not found by the tags that it has.`,
        `Post ${post.id} is not found by the mentions that it has.`,
      ],
    });
    await repairAll();
    expect(await findings()).to.deep.equal({});
    const { rows } = await database.query<{ tag: string }>(
      'select tag from post_tags where post_id = any($1) order by tag',
      [[post.id, other.id]],
    );
    expect(rows.map(({ tag }) => tag)).to.deep.equal(['harbour', 'quay', 'quay']);
  });

  it('finds rows changed behind the log’s back, and tells them by corrective events', async () => {
    const edited = await write('as it was');
    const removed = await write('removed by hand');
    const hidden = await write('hidden by hand');
    await database.query('update posts set title = $2 where id = $1', [edited.id, 'by hand']);
    // As with a row that was lost: a plain deletion is told.
    await database.query(`begin; set local tidings.deletes_posts = 'on'`);
    await database.query('delete from posts where id = $1', [removed.id]);
    await database.query('commit');
    await database.query('update posts set published = false where id = $1', [hidden.id]);
    expect(await findings()).to.deep.equal({
      fold: [
        `Post ${edited.id}: the log does not match the database: its title.`,
        `Post ${removed.id}: the log says it exists, but it is gone or a draft.`,
        `Post ${hidden.id}: the log says it exists, but it is gone or a draft.`,
      ],
    });
    await repairAll();
    expect(await findings()).to.deep.equal({});
    // In this order: that of the last one comes last.
    await until('the corrections are numbered', async () => (await numbered(hidden.id)) === 2);
    const { rows } = await database.query<{ post_id: number; name: string }>(
      'select entity_id::integer as post_id, name from event_log order by seq desc limit 3',
    );
    expect(rows.map(({ post_id, name }) => `${name} ${post_id}`).reverse()).to.deep.equal([
      `post:updated ${edited.id}`,
      `post:deleted ${removed.id}`,
      `post:deleted ${hidden.id}`,
    ]);
  });

  it('tells a row that was put back to an older version as a newer one, which no client passes over', async () => {
    const post = await write('first');
    await alice.patch(`/posts/${post.id}`, { title: 'second' });
    await until('both events', async () => (await numbered(post.id)) === 2);
    await database.query('update posts set title = $2, version = 1 where id = $1', [post.id, 'put back']);
    const said = `Post ${post.id}: the log does not match the database: its title, version.`;
    expect(await findings()).to.deep.equal({ fold: [said] });
    const socket = world.socket({ token: alice.token });
    await new Promise((resolve) => socket.once('ready', resolve));
    const told: PostView[] = [];
    socket.on('post:updated', (view) => told.push(view));
    await repairAll();
    await until('the socket hears it', () => told.length === 1);
    expect(told[0]).to.include({ id: post.id, title: 'put back', version: 3 });
    const { body } = await alice.get<PostView>(`/posts/${post.id}`);
    expect(body).to.include({ title: 'put back', version: 3 });
    expect(await findings()).to.deep.equal({});
  });

  it('tells a post whose tally is missing as one that is there, and counts its votes', async () => {
    const { rows } = await database.query<{ id: number }>(
      `insert into posts (owner_id, title, content) values ($1, 'bare', '') returning id::integer`,
      [alice.id],
    );
    const id = rows[0]?.id ?? 0;
    expect(await findings()).to.deep.equal({
      fold: [`Post ${id}: the log has no event for it.`],
      tallies: [`Post ${id} has 0 votes, and its tally is missing.`],
    });
    await repairAll();
    const told = await database.query<{ name: string }>(
      `select name from event_log where entity_id = $1 union all select name from event_outbox where entity_id = $1`,
      [id],
    );
    expect(told.rows).to.deep.equal([{ name: 'post:created' }]);
    expect(await findings()).to.deep.equal({});
  });

  it('tells a reply that was told behind its withdrawn thread as one that is gone', async () => {
    const root = await write('a thread');
    const { body: reply } = await alice.post<PostView & { voted: boolean }>(`/posts/${root.id}/replies`, {
      content: 'withdrawn with its thread',
    });
    await alice.patch(`/posts/${root.id}`, { published: false });
    const { voted: _voted, ...view } = reply;
    await world.ctx.db.transaction((tx) => append(tx, postUpdated, view));
    await until('the event', async () => (await numbered(reply.id)) === 2);
    expect(await findings()).to.deep.equal({
      fold: [`Post ${reply.id}: the log says it exists, but it is gone or a draft.`],
    });
    await repairAll();
    expect(await findings()).to.deep.equal({});
    const { rows } = await database.query<{ name: string }>(
      'select name from event_log where entity_id = $1 order by seq desc limit 1',
      [reply.id],
    );
    expect(rows).to.deep.equal([{ name: 'post:deleted' }]);
  });

  it('finds a post that the log has never told', async () => {
    const { rows } = await database.query<{ id: number }>(
      `with post as (insert into posts (owner_id, title, content) values ($1, 'smuggled', '') returning id, listed_at)
       insert into post_tallies (post_id, hot) select id, hot_rank(0, listed_at) from post returning post_id::integer as id`,
      [alice.id],
    );
    const id = rows[0]?.id ?? 0;
    expect(await findings()).to.deep.equal({ fold: [`Post ${id}: the log has no event for it.`] });
    await repairAll();
    expect(await findings()).to.deep.equal({});
  });

  it('finds a hole in the log, and tells anyone who is behind it to begin again', async () => {
    await write('one');
    await write('two');
    await write('three');
    const gone = await database.query<{ seq: number }>(
      'delete from event_log where seq = (select seq - 1 from feed_head) returning seq::integer',
    );
    const lost = gone.rows[0]?.seq ?? 0;
    const { log = [] } = await findings();
    expect(log).to.have.length(2);
    expect(log[1]).to.match(/^The log has a hole between \d+ and \d+\.$/);
    await repairAll();
    expect(await findings()).to.deep.equal({});
    // REST asks the database; a socket is answered out of the node's memory, which may be a second older.
    await until(
      'the node to know',
      async () =>
        world.ctx.feed.logFloor >= lost && (await alice.get(`/events?after=${lost - 1}`)).status === 410,
    );
    const { epoch } = world.ctx.feed;
    const behind = world.socket({ token: alice.token, after: lost - 1, epoch });
    const ready = await new Promise((resolve) => behind.once('ready', resolve));
    expect(ready).to.include({ outcome: 'reset', reason: 'too_old' });
    // The event after the hole, and the correction that tells the post whose event was lost.
    const kept = async () =>
      (await alice.get<{ events: { seq: number }[] }>(`/events?after=${lost}`)).body.events;
    await until('the correction', async () => (await kept()).length > 1);
    expect((await kept()).map(({ seq }) => seq)).to.deep.equal([lost + 1, lost + 2]);
  });
});
