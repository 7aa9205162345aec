import { expect } from 'chai';
import fc from 'fast-check';
import type { PostAnswer } from '../server/posts/present.ts';
import { type Sort, sorts } from '../server/posts/cursor.ts';
import { writePost } from './support/posts.ts';
import { faultsOf } from './support/problems.ts';
import { execute, rows } from './support/tables.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

/** A post of a generated feed: few different values, so that there are ties to break. */
const aPost = fc.record({
  votes: fc.integer({ min: 0, max: 3 }),
  /** Microseconds after a fixed moment. */
  at: fc.oneof(fc.constantFrom(0, 1, 2), fc.integer({ min: 0, max: 3_000_000 })),
});
const aFeed = fc.record({
  posts: fc.array(aPost, { minLength: 0, maxLength: 24 }),
  sort: fc.constantFrom(...sorts),
  limit: fc.integer({ min: 1, max: 9 }),
});

interface Listed {
  id: number;
  votes: number;
  listed: string;
  hot: number;
}

describe('the pages of the feed', () => {
  let world: World;
  let reader: TestUser;
  let owner: TestUser;
  before(async () => {
    world = await createWorld();
    reader = await world.user();
    owner = await world.user();
  });
  after(() => world.close());

  /** Exactly these posts, of `owner`. Written behind the service's back, to have the times and tallies that are asked for. */
  async function feedOf(posts: { votes: number; at: number }[]): Promise<void> {
    await execute(world, 'delete from posts');
    await execute(
      world,
      `with written as (
         insert into posts (owner_id, title, content, listed_at)
         select $1, 'Post ' || ord, '', timestamptz '2026-01-01' + at * interval '1 microsecond'
         from unnest($2::bigint[]) with ordinality as w (at, ord) order by ord
         returning id, listed_at
       ), numbered as (
         select id, listed_at, ($3::integer[])[row_number() over (order by id)] as votes from written
       )
       insert into post_tallies (post_id, votes, hot) select id, votes, hot_rank(votes, listed_at) from numbered`,
      [owner.id, posts.map((post) => post.at), posts.map((post) => post.votes)],
    );
    world.ctx.feedReader.forget(); // no event tells of these
  }

  /** The ids in the order that a list promises: the highest key first, and of equal ones the newest post. */
  async function promised(sort: Sort): Promise<number[]> {
    const all = await rows<Listed>(
      world,
      `select p.id, t.votes, to_char(p.listed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as listed, t.hot
       from posts p join post_tallies t on t.post_id = p.id`,
    );
    const key = { new: 'listed', top: 'votes', hot: 'hot' } as const;
    const by = (post: Listed) => post[key[sort]];
    return all.sort((a, b) => (by(a) < by(b) ? 1 : by(a) > by(b) ? -1 : b.id - a.id)).map((post) => post.id);
  }

  /** Follows the `Link` headers from a first page on, and does `between` after each page. */
  async function walk(
    first: string,
    between: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<number[][]> {
    const pages: number[][] = [];
    for (let at: string | undefined = first; at !== undefined;) {
      const { status, headers, body }: Answer<PostAnswer[]> = await reader.get<PostAnswer[]>(at);
      expect(status, at).to.equal(200);
      pages.push(body.map((post) => post.id));
      expect(pages.length, 'pages without an end').to.be.lessThan(100);
      at = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
      await between();
    }
    return pages;
  }

  it('followed by their cursors are the whole list, in order, each post once', async () => {
    await fc.assert(
      fc.asyncProperty(aFeed, async ({ posts, sort, limit }) => {
        await feedOf(posts);
        const pages = await walk(`/posts?sort=${sort}&limit=${limit}`);
        expect(pages.flat()).to.deep.equal(await promised(sort));
        for (const page of pages.slice(0, -1)) expect(page).to.have.length(limit);
        expect(pages).to.have.length(Math.max(1, Math.ceil(posts.length / limit)));
      }),
      { numRuns: 40 },
    );
  });

  it('passed over with skip are the same list', async () => {
    await fc.assert(
      fc.asyncProperty(aFeed, fc.integer({ min: 0, max: 30 }), async ({ posts, sort, limit }, skip) => {
        await feedOf(posts);
        const { body } = await reader.get<PostAnswer[]>(`/posts?sort=${sort}&limit=${limit}&skip=${skip}`);
        expect(body.map((post) => post.id)).to.deep.equal((await promised(sort)).slice(skip, skip + limit));
      }),
      { numRuns: 30 },
    );
  });

  it('are stable while posts arrive: what was there comes once and in order, and nothing twice', async () => {
    await fc.assert(
      fc.asyncProperty(aFeed, fc.integer({ min: 1, max: 3 }), async ({ posts, sort, limit }, arriving) => {
        await feedOf(posts);
        const before = await promised(sort);
        const pages = await walk(`/posts?sort=${sort}&limit=${limit}`, async () => {
          // A few pages only: in a list that grows as fast as it is read there is no last page.
          if (arriving > 0 && posts.length > 0) {
            await Promise.all(Array.from({ length: arriving }, () => writePost(owner)));
            arriving -= 1;
          }
        });
        const seen = pages.flat();
        expect(new Set(seen).size, 'nothing twice').to.equal(seen.length);
        expect(seen.filter((id) => before.includes(id))).to.deep.equal(before);
        if (sort === 'new') expect(seen, 'newer ones come before the first page').to.deep.equal(before);
      }),
      { numRuns: 30 },
    );
  });

  it('are stable while posts are deleted', async () => {
    await fc.assert(
      fc.asyncProperty(aFeed, fc.infiniteStream(fc.nat()), async ({ posts, sort, limit }, picks) => {
        await feedOf(posts);
        const before = await promised(sort);
        const deleted = new Set<number>();
        const pages = await walk(`/posts?sort=${sort}&limit=${limit}`, async () => {
          const id = before[(picks.next().value as number) % Math.max(1, before.length)];
          if (id === undefined || deleted.has(id)) return;
          deleted.add(id);
          await owner.delete(`/posts/${id}`);
        });
        const seen = pages.flat();
        expect(new Set(seen).size).to.equal(seen.length);
        const stayed = before.filter((id) => !deleted.has(id));
        expect(seen.filter((id) => !deleted.has(id))).to.deep.equal(stayed);
      }),
      { numRuns: 20 },
    );
  });

  it('keep the search, the owner and the order in their links, whatever the text', async () => {
    await execute(world, 'delete from posts');
    for (const search of ['what?', 'a+b c', '50% & more', '<x>; rel="next"', 'é#?&=']) {
      for (let at = 0; at < 3; at += 1) {
        await writePost(owner, { title: `${search} ${at}` });
        await writePost(owner, { title: 'other' });
        await writePost(reader, { title: `${search} by another` });
      }
      for (const written of [encodeURIComponent(search), encodeURIComponent(search).replaceAll('%3F', '?')]) {
        const pages = await walk(`/posts?search=${written}&sort=top&limit=1&owner_id=${owner.id}`);
        expect(
          pages.map((page) => page.length),
          written,
        ).to.deep.equal([1, 1, 1]);
      }
    }
  });

  it('lose the skip once there is a cursor', async () => {
    await feedOf(Array.from({ length: 10 }, (_, at) => ({ votes: 0, at })));
    const pages = await walk('/posts?limit=3&skip=2');
    expect(pages.flat()).to.deep.equal((await promised('new')).slice(2));
  });

  describe('cursors that this list did not give', () => {
    const cursor = (parts: unknown) => Buffer.from(JSON.stringify(parts)).toString('base64url');
    const now = '2026-01-01 00:00:00.000001+00';
    for (const [sort, parts] of [
      ['new', 'text'],
      ['new', null],
      ['new', {}],
      ['new', []],
      ['new', ['new', now]],
      ['new', ['new', now, 1, 2]],
      ['new', ['new', now, '1']],
      ['new', ['new', now, 0]],
      ['new', ['new', now, 1.5]],
      ['new', ['new', now, 2 ** 53]],
      ['new', ['new', 5, 1]],
      ['new', ['new', '5', 1]],
      ['new', ['new', 'now', 1]],
      ['new', ['new', 'infinity', 1]],
      ['new', ['new', `${now}; select 1`, 1]],
      ['new', ['new', '2026-13-01 00:00:00+00', 1]],
      ['new', ['new', '2026-02-31 00:00:00+00', 1]],
      ['new', ['new', '2026-01-01 25:00:00+00', 1]],
      ['new', ['new', '2026-01-01 00:00:61+00', 1]],
      ['new', ['new', '2026-01-01 00:00:00+99', 1]],
      ['new', ['new', '999999-01-01 00:00:00+00', 1]],
      ['new', ['top', '5', 1]],
      ['top', ['new', now, 1]],
      ['top', ['top', '-1', 1]],
      ['top', ['top', '9999999999', 1]],
      ['top', ['top', '1.5', 1]],
      ['hot', ['top', '5', 1]],
      ['hot', ['hot', 'NaN', 1]],
      ['hot', ['hot', '1e5', 1]],
    ] as const)
      it(`${JSON.stringify(parts)} for ${sort} are refused`, async () => {
        expect(faultsOf(await reader.get(`/posts?sort=${sort}&cursor=${cursor(parts)}`))).to.deep.equal([
          'query.cursor',
        ]);
      });

    it('made of any text are refused or read, and never an error of the inside', async () => {
      const part = fc.oneof(fc.jsonValue(), fc.constantFrom(now, ...sorts, 1, '1'));
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...sorts),
          fc.oneof(
            fc.string({ unit: 'binary' }).map(encodeURIComponent),
            fc.tuple(part, part, part).map(cursor),
          ),
          async (sort, made) => {
            const { status } = await reader.get(`/posts?sort=${sort}&cursor=${made}`);
            expect(status).to.be.oneOf([200, 422]);
          },
        ),
        { numRuns: 150 },
      );
    });
  });
});
