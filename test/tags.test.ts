import { expect } from 'chai';
import { Database } from '../server/database/connection.ts';
import { createLogger } from '../server/logger.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import { UnparsedPosts } from '../server/posts/unparsed-posts.ts';
import { eraseMentions } from '../server/users/mentions-of.ts';
import { writePost } from './support/posts.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { execute, headOf, numberOf, rows, tellVotes } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, PASSWORD, createWorld, type TestUser, type World } from './support/world.ts';

interface Told {
  name: string;
  topics: string[];
  data: { id: number; tags?: string[]; mentions?: object[]; version?: number };
  departure: { topics: string[]; name: string; data: object } | null;
}

describe('tags and mentions', () => {
  let world: World;
  let ada: TestUser;
  let bob: TestUser;

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 50 });
    ada = await world.user();
    bob = await world.user();
  });
  after(() => world.close());

  /** What is told of one post, in order. */
  const toldOf = async (id: number) => {
    await headOf(world);
    return rows<Told>(
      world,
      `select name, topics, data, departure from event_log where entity_type = 'post' and entity_id = $1 order by seq`,
      [id],
    );
  };
  const tagTopics = ({ topics }: Pick<Told, 'topics'>) => topics.filter((topic) => topic.startsWith('tag:'));
  const edit = (user: TestUser, id: number, body: object) => user.patch<PostAnswer>(`/posts/${id}`, body);
  const listed = async (user: TestUser, query: string) => {
    const { status, body } = await user.get<PostAnswer[]>(`/posts?${query}`);
    expect(status, query).to.equal(200);
    return body.map(({ id }) => id);
  };
  /** What finds posts by tags and mentions must be what the posts say. */
  afterEach(async () => {
    const wrong = await rows(
      world,
      `(select p.id, t.tag, p.listed_at from posts p, unnest(p.tags) as t (tag)
        except select post_id, tag, listed_at from post_tags)
       union all
       (select post_id, tag, listed_at from post_tags
        except select p.id, t.tag, p.listed_at from posts p, unnest(p.tags) as t (tag))
       union all
       (select p.id, m ->> 'id', null::timestamptz from posts p, jsonb_array_elements(p.mentions) m
        except select post_id, user_id::text, null::timestamptz from post_mentions)
       union all
       (select post_id, user_id::text, null::timestamptz from post_mentions
        except select p.id, m ->> 'id', null::timestamptz from posts p, jsonb_array_elements(p.mentions) m)`,
    );
    expect(wrong).to.deep.equal([]);
  });

  it('are said by a post in every answer and event, from the title and the text', async () => {
    const post = await writePost(ada, {
      title: '#One',
      content: `#two #ONE @${bob.username.toUpperCase()}. and @${bob.username} @nobody-at-all mail@${bob.username}`,
    });
    const mentions = [{ id: bob.id, username: bob.username.toUpperCase() }];
    expect(post).to.deep.include({ tags: ['one', 'two'], mentions });
    const { body } = await bob.get<PostAnswer>(`/posts/${post.id}`);
    expect(body).to.deep.equal(post);
    const [told] = await toldOf(post.id);
    expect(told?.data).to.deep.include({ tags: ['one', 'two'], mentions });
    expect(told).to.deep.include({ departure: null });
    expect(tagTopics(told!)).to.deep.equal(['tag:one', 'tag:two']);
    const [first] = (await bob.get<PostAnswer[]>('/posts?limit=1')).body;
    expect(first).to.deep.equal(post);
  });

  it('are found in drafts too, and told when these are published', async () => {
    const { id } = await writePost(ada, { content: '#draft', published: false });
    expect(await listed(ada, 'tag=draft')).to.deep.equal([id]);
    expect(await listed(bob, 'tag=draft')).to.deep.equal([]);
    await edit(ada, id, { published: true });
    expect(await listed(bob, 'tag=draft')).to.deep.equal([id]);
    const [told] = await toldOf(id);
    expect(tagTopics(told!)).to.deep.equal(['tag:draft']);
  });

  it('are read again with an edit; who hears only a tag that it takes away hears of a deletion', async () => {
    const { id } = await writePost(ada, { title: 'x', content: '#stays #goes' });
    expect((await edit(ada, id, { content: `#stays #comes @${bob.username}` })).body).to.deep.include({
      tags: ['stays', 'comes'],
      mentions: [{ id: bob.id, username: bob.username }],
    });
    await edit(ada, id, { title: '#goes' });
    await edit(ada, id, { title: 'y' });
    const [, both, added, taken] = await toldOf(id);
    expect(tagTopics(both!)).to.deep.equal(['tag:stays', 'tag:comes']);
    expect(both!.departure).to.deep.equal({
      topics: ['tag:goes'],
      name: 'post:deleted',
      // Not `root_id: null`: its thread stays.
      data: { id },
    });
    expect(added!.departure).to.equal(null);
    expect(taken!.departure?.topics).to.deep.equal(['tag:goes']);
    expect(await listed(bob, 'tag=goes')).to.deep.equal([]);
    expect(await listed(bob, 'tag=comes')).to.deep.equal([id]);
  });

  it('reach with a withdrawal and a deletion those who hear them as they were told', async () => {
    const withdrawn = await writePost(ada, { content: '#first' });
    await edit(ada, withdrawn.id, { content: '#second', published: false });
    const deleted = await writePost(ada, { content: '#third' });
    await ada.delete(`/posts/${deleted.id}`);
    const last = async (id: number) => (await toldOf(id)).at(-1)!;
    expect(await last(withdrawn.id)).to.deep.include({ name: 'post:deleted' });
    expect(tagTopics(await last(withdrawn.id))).to.deep.equal(['tag:first']);
    expect(tagTopics(await last(deleted.id))).to.deep.equal(['tag:third']);
    expect(await listed(bob, 'tag=second')).to.deep.equal([]);
    expect(await listed(ada, 'tag=second')).to.deep.equal([withdrawn.id]);
    // Its replies go with it, from those too who hear them by a tag that it has just been given.
    const answered = await writePost(ada, { content: '#fourth' });
    await bob.post(`/posts/${answered.id}/replies`, { content: '#fourth #fifth #sixth' });
    await edit(ada, answered.id, { content: '#fifth', published: false });
    const { departure, topics } = await last(answered.id);
    expect([...topics, ...(departure?.topics ?? [])]).to.include.members([
      'tag:fourth',
      'tag:fifth',
      'tag:sixth',
    ]);
  });

  it('are found in each form that they can be written in, however long that is', async () => {
    const tag = '각'.repeat(70);
    const { id } = await writePost(ada, { content: `#${tag}` });
    for (const form of ['NFC', 'NFD'] as const)
      expect(await listed(bob, `tag=${encodeURIComponent(`#${tag}`.normalize(form))}`)).to.deep.equal([id]);
  });

  it('leave what is told of a post when its text does', async () => {
    const { id } = await writePost(ada, { content: `#secret @${bob.username}` });
    await edit(ada, id, { content: 'nothing' });
    await until('the first event to be emptied', async () => {
      const [first] = await toldOf(id);
      return 'redacted' in first!.data;
    });
    const [first] = await toldOf(id);
    expect(first!.data).to.deep.include({ content: '', tags: [], mentions: [] });
  });

  describe('lists of a tag', () => {
    let carl: TestUser;
    let posts: PostAnswer[];
    before(async () => {
      carl = await world.user();
      posts = [];
      for (const [user, content] of [
        [ada, '#List apple'],
        [carl, 'apple #list'],
        [ada, '#other apple'],
        [carl, '#LIST pear'],
        [ada, '＃ｌｉｓｔ apple pear'],
      ] as const)
        posts.push(await writePost(user, { content }));
      await bob.put(`/posts/${posts[1]!.id}/vote`);
    });
    const ids = (...of: number[]) => of.map((n) => posts[n]!.id);

    it('hold its posts in every order, with owner, search and pages', async () => {
      for (const sort of ['new', 'hot', 'top'])
        expect(await listed(bob, `tag=list&sort=${sort}&owner_id=${carl.id}`), sort).to.have.members(
          ids(3, 1),
        );
      expect(await listed(bob, 'tag=list')).to.deep.equal(ids(4, 3, 1, 0));
      expect(await listed(bob, 'tag=list&sort=top')).to.deep.equal(ids(1, 4, 3, 0));
      expect(await listed(bob, 'tag=list&search=apple')).to.deep.equal(ids(4, 1, 0));
      expect(await listed(bob, 'tag=list&search=apple&sort=top')).to.deep.equal(ids(1, 4, 0));
      expect(await listed(bob, `tag=list&search=apple&owner_id=${ada.id}`)).to.deep.equal(ids(4, 0));
      expect(await listed(bob, 'tag=list&skip=1&limit=2')).to.deep.equal(ids(3, 1));
      expect(await listed(bob, 'tag=nothing')).to.deep.equal([]);
      for (const sort of ['new', 'top', 'hot', 'new&search=list']) {
        const all = await listed(bob, `tag=list&sort=${sort}`);
        const met: number[] = [];
        let path: string | undefined = `/posts?tag=%23List&limit=1&sort=${sort}`;
        while (path !== undefined) {
          const { headers, body }: Answer<PostAnswer[]> = await bob.get<PostAnswer[]>(path);
          met.push(...body.map(({ id }) => id));
          path = /<([^>]+)>/.exec(headers.get('link') ?? '')?.[1];
        }
        expect(met, sort).to.deep.equal(all);
      }
    });

    it('are asked for in any form of the tag, and in no other', async () => {
      for (const tag of ['list', '%23list', 'LIST', encodeURIComponent('＃ｌｉｓｔ')])
        expect(await listed(bob, `tag=${tag}`), tag).to.have.length(4);
      for (const tag of ['%23', '123', 'a%20b', 'a-b', 'x'.repeat(101)])
        expectProblem(await bob.get(`/posts?tag=${tag}`), 422);
      expect(faultsOf(await bob.get('/posts?tag=12&limit=0'))).to.deep.equal(['query.limit', 'query.tag']);
    });

    it('leave out authors who are hidden from their reader', async () => {
      const dora = await world.user();
      await dora.put(`/users/${carl.id}/mute`);
      expect(await listed(dora, 'tag=list')).to.deep.equal(ids(4, 0));
      expect(await listed(dora, 'tag=list&search=pear')).to.deep.equal(ids(4));
    });
  });

  describe('a mention between two of whom one blocks the other', () => {
    for (const who of ['the author', 'the other'])
      it(`is refused, and nothing is written: ${who} blocks`, async () => {
        const [author, other] = [await world.user(), await world.user()];
        const old = await writePost(author, { content: `@${other.username}` });
        const plain = await writePost(author, { content: 'plain' });
        const [from, to] = who === 'the author' ? [author, other] : [other, author];
        await from.put(`/users/${to.id}/block`);
        await tellVotes(world);
        const before = await headOf(world);
        const content = `again @${other.username}`;
        expectProblem(await author.post('/posts', { title: 'x', content }), 403);
        expectProblem(await edit(author, plain.id, { content }), 403);
        expect(await headOf(world)).to.be.below(before + 1);
        expect(await numberOf(world, 'select count(*) from posts where owner_id = $1', [author.id])).to.equal(
          2,
        );
        // What was written before stays, and can be edited.
        expect((await edit(author, old.id, { title: 'y' })).body.mentions).to.have.length(1);
      });
  });

  it('go with the account that was mentioned, in pieces, and everyone is told', async () => {
    const gone = await world.user();
    const posts = [];
    for (const published of [true, true, false])
      posts.push(await writePost(ada, { content: `@${bob.username} @${gone.username}`, published }));
    const own = await writePost(gone, { content: `#own @${gone.username}` });
    await gone.request('DELETE', '/users/me', { password: PASSWORD });
    await until('the account to be gone', async () => {
      return (await numberOf(world, 'select count(*) from users where id = $1', [gone.id])) === 0;
    });
    for (const post of posts) {
      const { body } = await ada.get<PostAnswer>(`/posts/${post.id}`);
      expect(body.mentions).to.deep.equal([{ id: bob.id, username: bob.username }]);
      expect(body.version).to.equal(2);
      const told = await toldOf(post.id);
      expect(told.map(({ name }) => name)).to.deep.equal(
        post.published ? ['post:created', 'post:updated'] : [],
      );
      if (post.published) expect(told.at(-1)!.data).to.deep.include({ version: 2, mentions: body.mentions });
    }
    expect(tagTopics((await toldOf(own.id)).at(-1)!)).to.deep.equal(['tag:own']);
    // A name that is nobody's is text.
    expect((await writePost(ada, { content: `@${gone.username}` })).mentions).to.deep.equal([]);
  });

  it('of a deleted account are taken out of a reply when nobody can withdraw its thread meanwhile', async () => {
    const gone = await world.user();
    const root = await writePost(ada);
    const { body: reply } = await bob.post<PostAnswer>(`/posts/${root.id}/replies`, {
      content: `@${gone.username}`,
    });
    const erase = () => world.ctx.db.transaction((tx) => eraseMentions(tx, gone.id, 10));
    const mentions = async () => (await bob.get<PostAnswer>(`/posts/${reply.id}`)).body.mentions;
    const other = await world.pool.connect();
    try {
      await other.query('begin');
      await other.query('select from posts where id = $1 for update', [root.id]);
      expect(await erase()).to.equal(false);
      expect(await mentions()).to.deep.equal([{ id: gone.id, username: gone.username }]);
      await other.query('rollback');
    } finally {
      other.release();
    }
    expect(await erase()).to.equal(false);
    expect(await mentions()).to.deep.equal([]);
    expect(await erase()).to.equal(true);
    expect((await toldOf(reply.id)).map(({ name }) => name)).to.deep.equal(['post:created', 'post:updated']);
  });

  it('are those of the text whatever comes together', async () => {
    const users = await Promise.all([1, 2, 3].map(() => world.user()));
    const written = await Promise.all(
      Array.from({ length: 60 }, (_, n) => {
        const mentioned = users[n % 3]!;
        return writePost(n % 2 === 0 ? ada : bob, {
          content: n % 5 === 0 ? 'plain' : `#n${n % 7} @${mentioned.username} @nobody${n}`,
        });
      }),
    );
    for (const [n, post] of written.entries()) {
      expect(post.tags).to.deep.equal(n % 5 === 0 ? [] : [`n${n % 7}`]);
      expect(post.mentions?.map((mention) => mention.id)).to.deep.equal(
        n % 5 === 0 ? [] : [users[n % 3]!.id],
      );
    }
  });

  describe('of posts that nodes of the version before write', () => {
    /** As such a node writes one. */
    const oldPost = async (content: string) => {
      const [row] = await rows<{ id: number }>(
        world,
        `select id from write_posts(array[$1::bigint], array['old'], array[$2], array[true],
           array[null], array[null], array['0', '1', '2'], array[null], array[null::bytea], true, array['old'], array[null],
           '{}'::text[], 1::smallint)`,
        [ada.id, content],
      );
      return row!.id;
    };
    const parsed = () =>
      until('all posts to be parsed', async () => {
        return (await numberOf(world, 'select count(*) from posts where parsed_at is null')) === 0;
      });

    it('are found, and told to everyone, since the event of the post was without', async () => {
      const id = await oldPost(`#old @${bob.username}`);
      const plain = await oldPost('nothing');
      await parsed();
      const { body } = await bob.get<PostAnswer>(`/posts/${id}`);
      expect(body).to.deep.include({ tags: ['old'], version: 2 });
      expect(body.mentions).to.deep.equal([{ id: bob.id, username: bob.username }]);
      const told = await toldOf(id);
      expect(told.at(-1)).to.deep.include({ name: 'post:updated', departure: null });
      expect(tagTopics(told.at(-1)!)).to.deep.equal(['tag:old']);
      expect(await toldOf(plain)).to.deep.equal([]);
    });

    it('are told of a reply when nobody can withdraw its thread meanwhile', async () => {
      const root = await writePost(ada);
      const { body: reply } = await bob.post<PostAnswer>(`/posts/${root.id}/replies`, { content: '#here' });
      const other = await world.pool.connect();
      try {
        await other.query('begin');
        await other.query('select from posts where id = $1 for no key update', [root.id]);
        await execute(world, `update posts set content = '#then', version = 2 where id = $1`, [reply.id]);
        // One that comes after it is done before it.
        const later = await oldPost('#later');
        await until('the later one', async () => (await toldOf(later)).length > 0);
        expect((await toldOf(reply.id)).map(({ name }) => name)).to.deep.equal(['post:created']);
        await other.query('rollback');
      } finally {
        other.release();
      }
      await parsed();
      expect((await toldOf(reply.id)).at(-1)!.data).to.deep.include({ tags: ['then'], version: 3 });
    });

    it('leave the tags that an edit of such a node takes away', async () => {
      const { id } = await writePost(ada, { content: '#before #stays' });
      await execute(world, `update posts set content = '#stays #after', version = 2 where id = $1`, [id]);
      await parsed();
      const last = (await toldOf(id)).at(-1)!;
      expect(last.data).to.deep.include({ tags: ['stays', 'after'], version: 3 });
      expect(last.departure?.topics).to.deep.equal(['tag:before']);
    });

    it('are found quietly in posts that are older than tags', async () => {
      const [row] = await rows<{ id: number }>(
        world,
        `with older as (
           insert into posts (owner_id, title, content, tags, search_text, search_fold)
           values ($1, 'older', '#older', null, 'older #older', 1) returning id
         ), tallied as (insert into post_tallies (post_id, hot) select id, 0 from older)
         select id from older`,
        [ada.id],
      );
      await tellVotes(world);
      const before = await headOf(world);
      // The list waits for them.
      expect(await listed(bob, 'tag=older')).to.deep.equal([row!.id]);
      expect(await headOf(world)).to.equal(before);
      expect((await bob.get<PostAnswer>(`/posts/${row!.id}`)).body).to.deep.include({
        tags: ['older'],
        version: 1,
      });
    });

    it('are found by two nodes at once, each post once', async () => {
      await execute(
        world,
        `insert into posts (owner_id, title, content, tags, search_text, search_fold)
         select $1, 'many', '#many #n' || n, null, 'many', 1 from generate_series(1, 900) n`,
        [ada.id],
      );
      const nodes = [1, 2].map(
        () => new Database({ url: world.databaseUrl, pool: 2, log: createLogger('silent') }),
      );
      try {
        const failures: unknown[] = [];
        const posts = nodes.map((db) => new UnparsedPosts(db, (error) => failures.push(error)));
        expect(await Promise.all(posts.map((one) => one.catchUp(30_000)))).to.deep.equal([true, true]);
        expect(failures).to.deep.equal([]);
      } finally {
        for (const db of nodes) await db.close();
      }
      expect(await numberOf(world, `select count(*) from post_tags where tag = 'many'`)).to.equal(900);
    });
  });
});
