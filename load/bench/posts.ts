import { makeAccounts } from '../accounts.ts';
import { call } from '../rest.ts';
import { type Bare, startBare } from './bare.ts';
import { CONNECTIONS, type Measured, measured, requestBytes } from './http-driver.ts';
import { type Line, median, newLine } from './rounds.ts';
import { databaseCostOf } from './server-cost.ts';
import { openClient, type Stage, withClient } from './stage.ts';

const POSTS = 100_000;
const VOTES = 1_000_000;
const DEEP = 10_000;
/** Pages on each side: twice as many as the server keeps, so that each is read from the database. */
const WALK = 1000;
/** 0.7 × of its rate is 1 / 0.7 of its processor time. */
const CPU_REACH = 1 / 0.7;

/** `POST /posts` against a handler that inserts the same rows and does nothing else. */
export async function writePosts(stage: Stage): Promise<Line[]> {
  const server = await stage.server(await stage.database());
  const bareUrl = await stage.database();
  await withClient(bareUrl, (client) =>
    client.query(
      `insert into users (email, username, password_hash) values ('a@example.org', 'somebody', 'x')`,
    ),
  );
  const bare = await startBare('http', { databaseUrl: bareUrl });
  stage.after(() => bare.stop());
  const accounts = await makeAccounts(server.url, CONNECTIONS);
  const body = { title: 'A title of the usual length', content: 'Some sentences of somebody. '.repeat(5) };
  const requests = accounts.map(({ token }) => requestBytes('POST', '/posts', token, body));
  const next = (connection: number) => requests[connection] ?? Buffer.alloc(0);
  const line = newLine({
    what: 'POST /posts',
    unit: '/s',
    limit: 'a bare Express handler that inserts the same rows with pg in one transaction',
    reach: { atLeast: 0.7 },
  });
  const cpu = newLine({
    ...line,
    what: 'POST /posts, the process alone',
    unit: 'ms CPU',
    reach: { atMost: CPU_REACH },
  });
  for (let round = 0; round < stage.rounds + 1; round += 1) {
    for (const [target, rates, cpus] of [
      [server, line.ours, cpu.ours],
      [bare, line.theirs, cpu.theirs],
    ] as const) {
      const driven = await measured(target, 201, next);
      if (round === 0) continue; // to warm up
      rates.push(driven.rate);
      cpus.push(driven.cpu);
    }
  }
  return [line, cpu];
}

/** A post with tags and mentions beside one of the same length without. */
export async function writeTags(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const server = await stage.server(databaseUrl);
  const database = await openClient(stage, databaseUrl);
  const accounts = await makeAccounts(server.url, CONNECTIONS);
  const profile = await call(server.url, 'GET', '/users/me', { token: accounts[0]?.token ?? '' });
  const { username } = profile.body as { username: string };
  const title = 'A title of the usual length';
  const words = `Some of us say #tea and #time, and #afternoon, as @${username} does. `;
  const bodies = [words, words.replaceAll(/[#@]/g, '.')].map((begin) => ({
    title,
    content: begin + 'Some sentences of somebody. '.repeat(3),
  }));
  const process = newLine({
    what: 'POST /posts with three tags and a mention, the process alone',
    unit: 'ms CPU',
    limit: 'the same text without',
    reach: { atMost: 1.05 },
  });
  const both = newLine({ ...process, what: 'the same, process and database' });
  for (let round = 0; round < stage.rounds + 1; round += 1) {
    for (const [at, body] of bodies.entries()) {
      const requests = accounts.map(({ token }) => requestBytes('POST', '/posts', token, body));
      let driven: Measured | undefined;
      const worked = await databaseCostOf(database, async () => {
        driven = await measured(server, 201, (connection) => requests[connection] ?? Buffer.alloc(0));
      });
      if (round === 0 || !driven) continue; // to warm up
      (at === 0 ? process.ours : process.theirs).push(driven.cpu);
      (at === 0 ? both.ours : both.theirs).push(driven.cpu + worked / driven.answers);
    }
  }
  return [process, both];
}

/** `GET /posts` over a large feed against a handler that answers the same bytes, and a deep page against the first. */
export async function readPosts(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  await fill(databaseUrl, Math.ceil(POSTS / stage.scale), Math.ceil(VOTES / stage.scale));
  const server = await stage.server(databaseUrl);
  const bare = await startBare('http');
  stage.after(() => bare.stop());
  const accounts = await makeAccounts(server.url, CONNECTIONS);
  const lines: Line[] = [];
  for (const sort of ['new', 'top', 'hot']) lines.push(await readPage(stage, server, bare, accounts, sort));
  lines.push(await readDeep(stage, server, accounts));
  return lines;
}

type Readers = readonly { token: string }[];

async function readPage(
  stage: Stage,
  server: { url: string; pid: number },
  bare: Bare,
  readers: Readers,
  sort: string,
): Promise<Line> {
  const requests = readers.map(({ token }) => requestBytes('GET', `/posts?limit=10&sort=${sort}`, token));
  const next = (connection: number) => requests[connection] ?? Buffer.alloc(0);
  bare.say({ type: 'answer', body: (await measured(server, 200, next)).body });
  await measured(bare, 200, next);
  const line = newLine({
    what: `GET /posts, page of 10, sort=${sort}`,
    unit: 'ms CPU',
    limit: 'a bare Express handler that answers the same bytes',
    reach: { atMost: 1.2 },
  });
  const rates = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < stage.rounds; round += 1) {
    const own = await measured(server, 200, next);
    const other = await measured(bare, 200, next);
    line.ours.push(own.cpu);
    line.theirs.push(other.cpu);
    rates.ours.push(own.rate);
    rates.theirs.push(other.rate);
  }
  line.notes.push(
    `by the clock, database and driver on the same cores: ${Math.round(median(rates.ours))} a second, bare ${Math.round(median(rates.theirs))}`,
  );
  return line;
}

/**
 * Many pages of ten from so deep on against as many from the beginning on, read in turns: a single page, asked again and
 * again, would be one that the server keeps.
 */
async function readDeep(stage: Stage, server: { url: string; pid: number }, readers: Readers): Promise<Line> {
  const token = readers[0]?.token ?? '';
  const walk = Math.ceil(WALK / stage.scale);
  const depth = Math.min(DEEP, Math.floor(POSTS / stage.scale / 2));
  const early = await pathsFrom(server.url, token, '/posts?limit=10&skip=10', walk);
  const deep = await pathsFrom(server.url, token, `/posts?limit=10&skip=${depth}`, walk);
  const roundRobin = (paths: readonly string[]) => {
    let turn = 0;
    const requests = readers.map((reader) => paths.map((path) => requestBytes('GET', path, reader.token)));
    return (connection: number) => requests[connection]?.[turn++ % paths.length] ?? Buffer.alloc(0);
  };
  const line = newLine({
    what: `${walk} pages from ${depth} deep on, by cursor`,
    unit: '/s',
    limit: 'as many pages from the beginning on, by cursor',
    reach: { atLeast: 0.9 },
  });
  for (let round = 0; round < stage.rounds; round += 1) {
    line.ours.push((await measured(server, 200, roundRobin(deep))).rate);
    line.theirs.push((await measured(server, 200, roundRobin(early))).rate);
  }
  return line;
}

/** The addresses of so many pages after this one, each by its own cursor. */
async function pathsFrom(url: string, token: string, path: string, pages: number): Promise<string[]> {
  const paths: string[] = [];
  for (let at = path; paths.length < pages;) {
    const { headers } = await call(url, 'GET', at, { token });
    const link = /<([^>]+)>/.exec(headers.get('link') ?? '')?.[1];
    if (link === undefined) throw new Error(`there is no page after ${at}`);
    const next = new URL(link, url);
    at = next.pathname + next.search;
    paths.push(at);
  }
  return paths;
}

/** A community of a thousand with its posts and votes, the popular ones with most of them. */
async function fill(databaseUrl: string, posts: number, votes: number): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    await client.query(`
      insert into users (email, username, password_hash)
      select 'u' || n || '@example.org', 'user' || n, 'x' from generate_series(1, 1000) n`);
    await client.query(
      `insert into posts (owner_id, title, content, created_at, updated_at, listed_at)
       select 1 + n % 1000, 'Post ' || n, repeat('Some sentences of somebody. ', 5), at, at, at
       from (select n, now() - n * interval '37 seconds' as at from generate_series($1::integer, 1, -1) n) numbered`,
      [posts],
    );
    await client.query(
      `insert into votes (user_id, post_id)
       select distinct 1 + floor(random() * 1000)::bigint, 1 + floor($2 * random() * random())::bigint
       from generate_series(1, ($1 * 1.35)::integer) limit $1`,
      [votes, posts],
    );
    await client.query(`
      insert into post_tallies (post_id, votes, rev, hot)
      select p.id, count(v.user_id), count(v.user_id), hot_rank(count(v.user_id)::integer, p.listed_at)
      from posts p left join votes v on v.post_id = p.id group by p.id`);
    await client.query('vacuum analyze');
  });
}
