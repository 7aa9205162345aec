import { expect } from 'chai';
import fc from 'fast-check';
import { Sequelize } from 'sequelize';
import { readCursor, sorts } from '../server/posts/cursor.ts';
import { homePage } from '../server/posts/home-page.ts';
import type { PostAnswer } from '../server/posts/present.ts';
import type { RelationView } from '../server/relations/commands.ts';
import { writePost } from './support/posts.ts';
import { caughtUp, execute, headOf, rows, whileUnnumbered } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

describe('the home page and hidden authors', () => {
  let world: World;
  let me: TestUser;
  let ada: TestUser;
  let ben: TestUser;

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 20, number: 30_000 });
  });
  beforeEach(async () => {
    me = await world.user();
    ada = await world.user();
    ben = await world.user();
  });
  after(() => world.close());

  async function set(user: TestUser, kind: string, other: TestUser): Promise<number> {
    const { status, body } = await user.put<RelationView>(`/users/${other.id}/${kind}`);
    expect(status).to.equal(200);
    return body.seq;
  }
  async function end(user: TestUser, kind: string, other: TestUser): Promise<void> {
    expect((await user.delete(`/users/${other.id}/${kind}`)).status).to.equal(200);
  }
  async function ids(user: TestUser, path: string): Promise<number[]> {
    const { status, body } = await user.get<PostAnswer[]>(path);
    expect(status, JSON.stringify(body)).to.equal(200);
    return body.map((post) => post.id);
  }
  const home = (user: TestUser, query = '') => ids(user, `/posts?view=home&limit=100${query}`);

  it('has own posts and those of whom one follows, newest first, and nobody else’s', async () => {
    const own = await writePost(me);
    const before = await writePost(ada);
    await writePost(ben);
    expect(await home(me)).to.deep.equal([own.id]);
    await set(me, 'follow', ada);
    const after = await writePost(ada);
    expect(await home(me)).to.deep.equal([after.id, before.id, own.id]);
    // Who is followed does not see the follower.
    expect(await home(ada)).to.deep.equal([after.id, before.id]);
    await end(me, 'follow', ada);
    expect(await home(me)).to.deep.equal([own.id]);
  });

  it('has drafts or not for each of two requests that come at once', async () => {
    const [draft, published] = [await writePost(me, { published: false }), await writePost(me)];
    const lists = [
      ['', [published.id, draft.id]],
      ['&published=true', [published.id]],
    ] as const;
    for (const asked of [lists, [...lists].reverse()]) {
      const answers = await Promise.all(asked.map(([query]) => home(me, query)));
      expect(answers).to.deep.equal(asked.map(([, ids]) => ids));
    }
  });

  it('has one’s own drafts as the list of all has, and nobody else’s', async () => {
    await set(me, 'follow', ada);
    const draft = await writePost(me, { published: false });
    await writePost(ada, { published: false });
    const shown = await writePost(ada);
    expect(await home(me)).to.deep.equal([shown.id, draft.id]);
    expect(await home(me, '&published=true')).to.deep.equal([shown.id]);
    expect(await home(me, '&published=false')).to.deep.equal([draft.id]);
  });

  for (const sort of sorts)
    it(`can be sorted, searched and narrowed to one author: sort=${sort}`, async () => {
      await set(me, 'follow', ada);
      const first = await writePost(ada, { title: 'a lantern' });
      await writePost(ben, { title: 'a lantern' });
      await writePost(ada, { title: 'a kettle' });
      const last = await writePost(me, { title: 'my lantern' });
      for (const user of [me, ada]) await user.put(`/posts/${first.id}/vote`);
      const expected = sort === 'new' ? [last.id, first.id] : [first.id, last.id];
      expect(await home(me, `&sort=${sort}&search=lantern`)).to.deep.equal(expected);
      expect((await home(me, `&sort=${sort}`)).filter((id) => expected.includes(id))).to.deep.equal(expected);
      expect(await home(me, `&sort=${sort}&owner_id=${ben.id}`)).to.deep.equal([]);
      expect(await home(me, `&sort=${sort}&owner_id=${ada.id}`)).to.have.lengthOf(2);
      const walked: number[] = [];
      for (let at: string | undefined = `/posts?view=home&sort=${sort}&limit=1`; at !== undefined;) {
        const { headers, body }: Answer<PostAnswer[]> = await me.get<PostAnswer[]>(at);
        walked.push(...body.map((post) => post.id));
        at = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
      }
      expect(walked).to.deep.equal(await home(me, `&sort=${sort}`));
    });

  it('counts a follow from its number on, as the stream does, and not from its commit', async () => {
    await writePost(ada);
    await headOf(world);
    const { answer } = await whileUnnumbered(world, async () => {
      const asked = set(me, 'follow', ada);
      await until('the follow to be committed', async () => {
        const { body } = await me.get<{ user: { id: number } }[]>(`/users/${me.id}/following`);
        return body.length === 1;
      });
      expect(await home(me)).to.deep.equal([]);
      return { answer: asked };
    });
    const seq = await answer;
    const { headers, body } = await me.get<PostAnswer[]>('/posts?view=home');
    expect(body).to.have.lengthOf(1);
    expect(Number(headers.get('x-feed-seq'))).to.be.at.least(seq);
    // So does the end of one.
    const { ended } = await whileUnnumbered(world, async () => {
      const asked = end(me, 'follow', ada);
      await until(
        'the end to be committed',
        async () => (await ids(me, `/users/${me.id}/following`)).length === 0,
      );
      expect(await home(me)).to.have.lengthOf(1);
      return { ended: asked };
    });
    await ended;
    expect(await home(me)).to.deep.equal([]);
  });

  /** Each list that may hold a post. */
  const lists = [
    ...sorts.map((sort) => `/posts?limit=100&sort=${sort}`),
    ...sorts.map((sort) => `/posts?limit=100&search=lantern&sort=${sort}`),
    ...sorts.map((sort) => `/posts?limit=100&view=home&sort=${sort}`),
    '/posts?limit=100&skip=0&view=home&search=lantern',
    '/posts?limit=100&published=true',
  ];

  it('leave out whom one blocks, who blocks one, and whom one mutes, at once and in every list', async () => {
    const cid = await world.user();
    for (const other of [ada, ben, cid]) {
      await set(me, 'follow', other);
      await set(other, 'follow', me);
    }
    const post = async (user: TestUser) => (await writePost(user, { title: 'a lantern' })).id;
    const [own, adas, bens, cids] = [await post(me), await post(ada), await post(ben), await post(cid)];
    const seenBy = async (user: TestUser, path: string) =>
      (await ids(user, path)).filter((id) => [own, adas, bens, cids].includes(id)).sort((a, b) => a - b);
    for (const path of lists) expect(await seenBy(me, path), path).to.deep.equal([own, adas, bens, cids]);
    await set(me, 'block', ada);
    await set(ben, 'block', me);
    await set(me, 'mute', cid);
    for (const path of lists) expect(await seenBy(me, path), path).to.deep.equal([own]);
    const isHome = (path: string) => path.includes('home');
    for (const path of lists) {
      // A block has ended the follows; a mute has not, and is one-sided.
      expect(await seenBy(ada, path), path).to.deep.equal(isHome(path) ? [adas] : [adas, bens, cids]);
      expect(await seenBy(ben, path), path).to.deep.equal(isHome(path) ? [bens] : [adas, bens, cids]);
      expect(await seenBy(cid, path), path).to.deep.equal(
        isHome(path) ? [own, cids] : [own, adas, bens, cids],
      );
    }
    // One's own question: the posts of a muted author are there, those of a blocked one not.
    expect(await ids(me, `/posts?owner_id=${cid.id}`)).to.deep.equal([cids]);
    expect(await ids(me, `/posts?owner_id=${cid.id}&search=lantern`)).to.deep.equal([cids]);
    for (const other of [ada, ben])
      for (const query of ['', '&search=lantern', '&sort=top', '&view=home'])
        expect(await ids(me, `/posts?owner_id=${other.id}${query}`)).to.deep.equal([]);
    expect(await ids(ada, `/posts?owner_id=${me.id}`)).to.deep.equal([]);
    // It is read all the same by its address.
    expect((await me.get(`/posts/${adas}`)).status).to.equal(200);
    await end(me, 'block', ada);
    await end(ben, 'block', me);
    await end(me, 'mute', cid);
    expect(await seenBy(me, '/posts?limit=100')).to.deep.equal([own, adas, bens, cids]);
    // The follow of the muted one is still there.
    expect(await seenBy(me, '/posts?limit=100&view=home')).to.deep.equal([own, cids]);
  });

  it('leave pages full, and the cursors of a viewer lead through all that is left', async () => {
    for (let at = 0; at < 12; at += 1) await writePost(at % 2 ? ada : ben, { title: `lantern ${at}` });
    await set(me, 'mute', ada);
    for (const query of ['', '&sort=top', '&sort=hot', '&search=lantern']) {
      const all = await ids(me, `/posts?limit=100${query}`);
      const pages: number[][] = [];
      for (let at: string | undefined = `/posts?limit=2${query}`; at !== undefined;) {
        const { headers, body }: Answer<PostAnswer[]> = await me.get<PostAnswer[]>(at);
        pages.push(body.map((post) => post.id));
        at = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
      }
      expect(pages.flat(), query).to.deep.equal(all);
      for (const page of pages.slice(0, -1)) expect(page, query).to.have.lengthOf(2);
    }
  });

  it('do not spoil the pages that others share, nor are spoilt by them', async () => {
    const { id } = await writePost(ada);
    await set(me, 'mute', ada);
    await caughtUp(world);
    for (let turn = 0; turn < 5; turn += 1) {
      const [mine, others] = await Promise.all([ids(me, '/posts?limit=1'), ids(ben, '/posts?limit=1')]);
      expect(mine).not.to.include(id);
      expect(others).to.deep.equal([id]);
    }
    // At the commit, and not only with its number.
    await end(me, 'mute', ada);
    expect(await ids(me, '/posts?limit=1')).to.deep.equal([id]);
    const answer = await whileUnnumbered(world, async () => {
      const asked = set(me, 'block', ada);
      await until('the block to be committed', async () => (await ids(me, '/users/me/blocks')).length === 1);
      expect(await ids(me, '/posts?limit=1')).not.to.include(id);
      expect(await ids(ada, `/posts?owner_id=${me.id}`)).to.deep.equal([]);
      return { asked };
    });
    await answer.asked;
  });

  it('are the same page however it is found: by walking through all posts, or by asking for each author’s', async () => {
    const sequelize = new Sequelize(world.databaseUrl, { logging: false });
    const aPost = fc.record({ author: fc.nat(4), votes: fc.nat(3), at: fc.nat(5), published: fc.boolean() });
    const others = [me, ada, ben, await world.user(), await world.user()];
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            posts: fc.array(aPost, { maxLength: 25 }),
            follows: fc.subarray([1, 2, 3, 4]),
            hidden: fc.subarray([1, 2, 3, 4]),
            sort: fc.constantFrom(...sorts),
            limit: fc.integer({ min: 1, max: 6 }),
            skip: fc.nat(3),
            near: fc.constantFrom(1, 3, 10),
            far: fc.constantFrom(3, 20, 100),
            drafts: fc.boolean(),
          }),
          async ({ posts, follows, hidden, sort, limit, skip, near, far, drafts }) => {
            await execute(world, 'delete from posts');
            await execute(world, 'delete from relations');
            await execute(world, 'delete from stream_relations');
            const idsOf = (some: number[]) => some.map((at) => others[at]!.id);
            await execute(
              world,
              `with written as (
                 insert into posts (owner_id, title, content, published, listed_at)
                 select o, 'x', '', p, timestamptz '2026-01-01' + a * interval '1 microsecond'
                 from unnest($1::bigint[], $2::boolean[], $3::integer[]) as w (o, p, a) returning id, listed_at
               )
               insert into post_tallies (post_id, votes, hot)
               select id, ($4::integer[])[row_number() over (order by id)],
                 hot_rank(($4::integer[])[row_number() over (order by id)], listed_at) from written`,
              [
                idsOf(posts.map((post) => post.author)),
                posts.map((post) => post.published),
                posts.map((post) => post.at),
                posts.map((post) => post.votes),
              ],
            );
            await execute(
              world,
              `insert into stream_relations select $1, 'follow', id, 1 from unnest($2::bigint[]) id`,
              [me.id, idsOf(follows)],
            );
            await execute(world, `insert into relations select $1, 'mute', id from unnest($2::bigint[]) id`, [
              me.id,
              idsOf(hidden),
            ]);
            const key = { new: 'p.listed_at', top: 't.votes', hot: 't.hot' }[sort];
            const promised = await rows<{ id: number }>(
              world,
              `select p.id from posts p join post_tallies t on t.post_id = p.id
               where p.owner_id = any($1) and (p.published or ($2 and p.owner_id = $3)) order by ${key} desc, p.id desc`,
              [[me.id, ...idsOf(follows.filter((at) => !hidden.includes(at)))], drafts, me.id],
            );
            const found: number[] = [];
            let cursor: string | undefined;
            do {
              const page = await homePage(
                sequelize,
                {
                  list: {
                    limit,
                    skip: cursor === undefined ? skip : 0,
                    search: '',
                    sort,
                    view: 'home',
                    replies: false,
                  },
                  cursor: cursor === undefined ? undefined : readCursor(cursor, sort),
                  draftsOf: drafts ? me.id : undefined,
                  homeOf: me.id,
                  hiddenFrom: hidden.length > 0 ? me.id : undefined,
                },
                { near, far },
              );
              found.push(...page.ids);
              cursor = page.next;
            } while (cursor !== undefined);
            expect(found).to.deep.equal(promised.map(({ id }) => id).slice(skip));
          },
        ),
        { numRuns: 80 },
      );
    } finally {
      await sequelize.close();
    }
  });
});
