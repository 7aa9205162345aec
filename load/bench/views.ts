import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { call } from '../rest.ts';
import { follow, makeMembers, type Member } from './members.ts';
import { type Line, median, newLine } from './rounds.ts';
import { databaseCostOf } from './server-cost.ts';
import { openClient, type Stage } from './stage.ts';

const POSTS = 100_000;
const FOLLOWEES = 500;
/** Pages of each kind in one round. */
const PAGES = 10;
const PAGE_SIZES = [10, 50];
/** Replies in the one wide thread. */
const REPLIES = 10_000;
/** The node keeps a page for a second. Milliseconds. */
const FORGOTTEN = 1100;

/** Those of whom a viewer follows all, and how many of every 1,000 posts are theirs; or how many in all, long ago. */
const crowds = [
  { kind: 'followees write half of the posts', thousandths: 500 },
  { kind: 'followees write a tenth', thousandths: 100 },
  { kind: 'followees write a twentieth', thousandths: 50 },
  { kind: 'followees wrote ten posts', posts: 10 },
] as const;

/** A list that is held against the list of all posts in the same order. */
interface View {
  what: string;
  token: string;
  path: string;
  sort: string;
  reach: Line['reach'];
}

/** What the database works for a page of a filtered list, beside a page of all posts. */
export async function views(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const database = await openClient(stage, databaseUrl);
  const viewers = await fill(databaseUrl, database, Math.ceil(POSTS / stage.scale));
  const root = await fillThread(database, Math.ceil(REPLIES / stage.scale));
  const server = await stage.server(databaseUrl);
  const [any] = viewers;
  if (!any) throw new Error('nobody was made');
  const listed: View[] = [];
  for (const [at, { kind }] of crowds.entries())
    for (const sort of ['new', 'top', 'hot'])
      listed.push({
        what: `view=home, sort=${sort}, ${kind}`,
        token: viewers[at]?.token ?? '',
        path: `/posts?view=home&sort=${sort}`,
        sort,
        reach: sort === 'new' ? { atMost: 1.5 } : undefined,
      });
  for (const tag of ['often', 'rare'])
    for (const sort of ['new', 'top', 'hot'])
      listed.push({
        what: `tag=${tag}, sort=${sort}`,
        token: any.token,
        path: `/posts?tag=${tag}&sort=${sort}`,
        sort,
        reach: undefined,
      });
  for (const sort of ['old', 'new', 'top'])
    listed.push({
      what: `replies of a thread of ${Math.ceil(REPLIES / stage.scale)}, sort=${sort}`,
      token: any.token,
      path: `/posts/${root}/replies?sort=${sort}`,
      sort: sort === 'top' ? 'top' : 'new',
      reach: undefined,
    });
  return readInTurns(stage, server.url, database, listed);
}

/** Each list once in every round, and before them those of all posts that they are held against. */
async function readInTurns(stage: Stage, url: string, database: pg.Client, listed: View[]): Promise<Line[]> {
  const lines = PAGE_SIZES.flatMap((size) =>
    listed.map((view) => ({
      ...view,
      size,
      line: newLine({
        what: `GET ${view.what}, page of ${size}`,
        unit: 'ms CPU',
        limit: `GET /posts?sort=${view.sort}`,
        reach: view.reach,
      }),
    })),
  );
  for (let round = 0; round < stage.rounds + 1; round += 1) {
    for (const size of PAGE_SIZES) {
      await pause(FORGOTTEN);
      const limits = new Map<string, number>();
      for (const sort of ['new', 'top', 'hot'])
        limits.set(
          sort,
          await pageCost(database, url, {
            token: listed[0]?.token ?? '',
            path: `/posts?sort=${sort}`,
            size,
          }),
        );
      for (const { token, path, sort, line } of lines.filter((one) => one.size === size)) {
        const cost = await pageCost(database, url, { token, path, size });
        if (round === 0) continue; // to warm up
        line.ours.push(cost);
        line.theirs.push(limits.get(sort) ?? NaN);
      }
    }
  }
  return lines.map(({ line }) => line);
}

/**
 * Milliseconds of the database for a page, the median of several. Each is of another size: one that was read a moment ago
 * would be given out again.
 */
async function pageCost(
  database: pg.Client,
  url: string,
  { token, path, size }: { token: string; path: string; size: number },
): Promise<number> {
  const costs: number[] = [];
  for (let page = 0; page < PAGES; page += 1)
    costs.push(
      await databaseCostOf(database, () => call(url, 'GET', `${path}&limit=${size + page}`, { token })),
    );
  return median(costs);
}

/** Posts of the four crowds and of others, the newest last, with votes and tags; the viewers follow a crowd each. */
async function fill(databaseUrl: string, database: pg.Client, posts: number): Promise<Member[]> {
  const viewers = await makeMembers(databaseUrl, crowds.length);
  // Dealt out in turns: in a real community those whom somebody follows do not have neighbouring ids either.
  const members = await makeMembers(databaseUrl, FOLLOWEES * (crowds.length + 1));
  const dealt = (to: number) => members.filter((_member, at) => at % (crowds.length + 1) === to);
  const others = dealt(crowds.length);
  const shares: { from: number; authors: number[] }[] = [];
  let from = 0;
  const quiet: number[] = [];
  for (const [at, crowd] of crowds.entries()) {
    const followees = dealt(at);
    await follow(databaseUrl, viewers.slice(at, at + 1), followees, FOLLOWEES);
    const authors = followees.map(({ id }) => id);
    if ('posts' in crowd) quiet.push(...authors.slice(0, crowd.posts));
    else {
      shares.push({ from, authors });
      from += crowd.thousandths;
    }
  }
  shares.push({ from, authors: others.map(({ id }) => id) });
  await database.query(
    `with made as (
       insert into posts (owner_id, title, content, created_at, updated_at, listed_at, search_fold, parsed_at, tags)
       select coalesce(
           case when n % ($2 / cardinality($3::bigint[])) = 0
             then $3[n / ($2 / cardinality($3::bigint[]))] end,
           (select s.authors[1 + h.author % cardinality(s.authors)]
            from json_to_recordset($1::json) as s ("from" integer, authors bigint[])
            where s.from <= n * 7919 % 1000 order by s.from desc limit 1)),
         'Post ' || n, repeat('Some sentences of somebody. ', 5), at, at, at, 1, at,
         case when n % 10 = 0 then '{often}'::text[] when n % ($2 / 20) = 1 then '{rare}' else '{}' end
       from generate_series(1, $2::integer) n
       cross join lateral (select now() - ($2 - n) * interval '37 seconds' as at,
         (hashint4(n) & 2147483647) as author) h
       returning id, listed_at
     )
     insert into post_tallies (post_id, votes, rev, hot)
     select m.id, v.votes, v.votes, hot_rank(v.votes, m.listed_at)
     from made m cross join lateral (select (power(hashint8(m.id) & 1023, 4) / 1e11)::integer as votes) v`,
    [JSON.stringify(shares), posts, quiet],
  );
  await database.query('vacuum analyze');
  return viewers;
}

/** A thread with so many replies, all of them to the first post. */
async function fillThread(database: pg.Client, replies: number): Promise<number> {
  const { rows } = await database.query<{ id: string }>('select max(id) as id from posts');
  const root = Number(rows[0]?.id);
  await database.query(
    `with made as (
       insert into posts (owner_id, content, parent_id, root_id, ancestors, search_fold, parsed_at)
       select p.owner_id, repeat('Some sentences of somebody. ', 5), p.id, p.id, array[p.id], 1, now()
       from posts p cross join generate_series(1, $2::integer) where p.id = $1
       returning id, root_id
     )
     insert into post_tallies (post_id, root_id, votes, rev, hot)
     select id, root_id, v.votes, v.votes, 0
     from made cross join lateral (select (power(hashint8(id) & 1023, 4) / 1e11)::integer as votes) v`,
    [root, replies],
  );
  await database.query('update post_tallies set replies = $2 where post_id = $1', [root, replies]);
  await database.query('vacuum analyze');
  return root;
}
