import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { fillCommunity, PASSWORD } from '../fill/community.ts';
import { call } from '../rest.ts';
import { type Line, median, newLine } from './rounds.ts';
import { databaseCostOf, FEED } from './server-cost.ts';
import { openClient, type Stage, withClient } from './stage.ts';

const LARGE = 2_000_000;
const SMALL = 20_000;
/** Of both: the same follows, and five votes for each post. */
const USERS = 20_000;
const VOTES_OF_POST = 5;
const FOLLOWS = 20;
/** How often something is done in one round. Each page is of another size, so that none was read before. */
const TIMES = 5;
/** Something may cost so many times as much in the large community, and a search. */
const REACH = 1.5;
const SEARCH_REACH = 5;

const SORTS = ['new', 'top', 'hot'];
const LISTS = {
  'all posts': '',
  'with replies': '&replies=true',
  'home of somebody who follows 5,000': '&view=home',
  'posts of the most frequent author': '&owner_id=1',
  'a frequent tag': '&tag=topic0',
  'a rare tag': '&tag=topic900',
  '10,000 deep': '&skip=10000',
};
const SEARCHES = {
  'a word in twenty posts': 'zugzwang',
  'two letters in twenty posts': 'qx',
  'two Chinese characters in twenty posts': '鯨鯨',
  'a Thai word in twenty posts': 'หายาก',
  'a word in a fifth': 'ferry',
  'two letters in a fifth': 'ef',
  'a word in none': 'jabberwock',
  'two letters in none': 'zq',
  'two Chinese characters in none': '鰐鰐',
};

/** Topics of `GET /events`. */
const REPLAYS: Record<string, (wide: number) => string> = {
  everything: () => '',
  'a frequent tag': () => '&topics=tag:topic0',
  'a rare tag': () => '&topics=tag:topic900',
  'an author': () => '&topics=author:7',
  'home of somebody who follows 5,000': () => '&topics=home',
  'the widest thread': (wide) => `&topics=thread:${wide}`,
};

interface Community {
  url: string;
  token: string;
  client: pg.Client;
  posts: number;
  /** The post with the widest thread. */
  wide: number;
  /** The newest event. */
  head: number;
}

/** Something that is done in both communities, with another number each time. */
interface Act {
  what: string;
  atMost: number;
  /** Whose processor time counts. */
  connections?: readonly string[];
  request: (community: Community, number: number) => { method?: string; path: string; body?: unknown };
}

/** What the database works for each list, search and write in a large community, against the same in a small one. */
export async function size(stage: Stage): Promise<Line[]> {
  const { communities } = stage;
  const small = await communityOf(stage, communities?.[0] ?? (await filled(stage, SMALL)));
  const large = await communityOf(
    stage,
    communities?.[1] ?? (await filled(stage, Math.max(SMALL, Math.ceil(LARGE / stage.scale)))),
  );
  const lines: Line[] = [];
  for (const act of acts()) {
    const line = newLine({
      what: act.what,
      unit: 'ms CPU',
      reach: { atMost: act.atMost },
    });
    for (let round = 0; round < stage.rounds + 1; round += 1) {
      const ours = await costOf(large, act, round);
      const theirs = await costOf(small, act, round);
      if (round === 0) continue; // to warm up
      line.ours.push(ours);
      line.theirs.push(theirs);
    }
    lines.push(line);
  }
  return lines;
}

function acts(): Act[] {
  const page = (what: string, path: string | ((community: Community) => string), atMost = REACH): Act => ({
    what,
    atMost,
    request: (community, number) => ({
      path: `${typeof path === 'string' ? path : path(community)}&limit=${10 + (number % 90)}`,
    }),
  });
  /** Any post, the same part of either community. */
  const post = ({ posts }: Community, number: number) =>
    1 + 5 * Math.floor(((number * 0.618) % 1) * (posts / 5));
  return [
    ...SORTS.flatMap((sort) => [
      ...Object.entries(LISTS).map(([what, query]) =>
        page(`list: ${what}, sort=${sort}`, `/posts?sort=${sort}${query}`),
      ),
      ...Object.entries(SEARCHES).map(([what, words]) =>
        page(
          `search: ${what}, sort=${sort}`,
          `/posts?sort=${sort}&search=${encodeURIComponent(words)}`,
          SEARCH_REACH,
        ),
      ),
      page(
        `search with replies, sort=${sort}`,
        `/posts?sort=${sort}&search=ferry&replies=true`,
        SEARCH_REACH,
      ),
    ]),
    ...['old', 'new', 'top'].map((sort) =>
      page(`list: the widest thread, sort=${sort}`, ({ wide }) => `/posts/${wide}/replies?sort=${sort}`),
    ),
    ...['followers', 'following'].map((list) => page(`list: ${list}`, `/users/1/${list}?`)),
    ...Object.entries(REPLAYS).flatMap(([whose, topics]) =>
      ['the floor', 'the middle'].map((where, at) => ({
        what: `events: ${whose}, after ${where}`,
        atMost: REACH,
        connections: [FEED],
        request: ({ head, wide }: Community, number: number) => ({
          path: `/events?after=${[0, Math.floor(head / 2)][at]}&limit=${50 + (number % 50)}${topics(wide)}`,
        }),
      })),
    ),
    {
      what: 'one profile',
      atMost: REACH,
      request: (_community, number) => ({ path: `/users/${1 + (number % 900)}` }),
    },
    {
      what: 'a reply in the widest thread',
      atMost: REACH,
      request: ({ wide }, number) => ({
        method: 'POST',
        path: `/posts/${wide}/replies`,
        body: { content: `The ${number}th reply of the bench` },
      }),
    },
    {
      what: 'a mute',
      atMost: REACH,
      request: (_community, number) => ({ method: 'PUT', path: `/users/${900 - (number % 100)}/mute` }),
    },
    {
      what: 'one post',
      atMost: REACH,
      request: (community, number) => ({ path: `/posts/${post(community, number)}` }),
    },
    {
      what: 'a vote',
      atMost: REACH,
      request: (community, number) => ({ method: 'PUT', path: `/posts/${post(community, number)}/vote` }),
    },
    {
      what: 'a new post',
      atMost: REACH,
      request: (_community, number) => ({
        method: 'POST',
        path: '/posts',
        body: { title: `The ${number}th of the bench`, content: 'It is about the ferry. '.repeat(8) },
      }),
    },
  ];
}

/** A new database with so many posts, and no log of them. @returns its address */
async function filled(stage: Stage, posts: number): Promise<string> {
  const databaseUrl = await stage.database();
  stage.say(`fills ${posts} posts`);
  const community = { users: USERS, posts, followsEach: FOLLOWS, votesEach: (VOTES_OF_POST * posts) / USERS };
  await withClient(databaseUrl, (client) =>
    fillCommunity(client, community, (what) => stage.say(`  ${what}`), false),
  );
  return databaseUrl;
}

async function communityOf(stage: Stage, databaseUrl: string): Promise<Community> {
  // The log of a filled community goes back for years.
  const server = await stage.server(databaseUrl, { EVENT_RETENTION: '3650d' });
  const client = await openClient(stage, databaseUrl);
  const { rows } = await client.query<Pick<Community, 'posts' | 'wide' | 'head'>>(
    `select (select max(id) from posts)::integer as posts, (select seq from feed_head)::integer as head,
       (select post_id from post_tallies order by replies desc limit 1)::integer as wide`,
  );
  const { body } = await call(server.url, 'POST', '/login', {
    body: { email: 'user1@example.org', password: PASSWORD },
  });
  const { access_token: token } = body as { access_token: string };
  const { posts = 0, wide = 0, head = 0 } = rows[0] ?? {};
  await countLog(server.url, token);
  return { url: server.url, token, client, posts, wide, head };
}

/** A node counts its log once, before it looks anything up in it. */
async function countLog(url: string, token: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await call(url, 'GET', '/events?after=0&topics=tag:topic0', { token });
      return;
    } catch (error) {
      if (tries === 60) throw error;
      await pause(1000);
    }
  }
}

/** Milliseconds of the database's processor time. */
async function costOf(community: Community, act: Act, round: number): Promise<number> {
  const costs: number[] = [];
  for (let time = 0; time < TIMES; time += 1) {
    const { method = 'GET', path, body } = act.request(community, TIMES * round + time);
    costs.push(
      await databaseCostOf(
        community.client,
        () => call(community.url, method, path, { token: community.token, body }),
        act.connections,
      ),
    );
  }
  return median(costs);
}
