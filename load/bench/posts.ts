import { makeAccounts } from '../accounts.ts';
import { usageOf } from '../process-usage.ts';
import { call } from '../rest.ts';
import { type Bare, startBare } from './bare.ts';
import { type Driven, drive, requestBytes } from './http-driver.ts';
import { median, type Line } from './rounds.ts';
import { type Stage, withClient } from './stage.ts';

const CONNECTIONS = 16;
const MILLISECONDS = 5000;
const POSTS = 100_000;
const VOTES = 1_000_000;
const DEEP = 10_000;

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
  try {
    const accounts = await makeAccounts(server.url, CONNECTIONS, () => undefined);
    const body = { title: 'A title of the usual length', content: 'Some sentences of somebody. '.repeat(5) };
    const requests = accounts.map(({ token }) => requestBytes('POST', '/posts', token, body));
    const next = (connection: number) => requests[connection] ?? Buffer.alloc(0);
    const line: Line = {
      what: 'POST /posts',
      unit: '/s',
      limit: 'a bare Express handler that inserts the same rows with pg in one transaction',
      ours: [],
      theirs: [],
      reach: { atLeast: 0.7 },
      notes: [],
    };
    const cpu = { ours: [] as number[], theirs: [] as number[] };
    for (let round = 0; round < stage.rounds + 1; round += 1) {
      for (const [target, figures, cpus] of [
        [server, line.ours, cpu.ours],
        [bare, line.theirs, cpu.theirs],
      ] as const) {
        const driven = await measured(target, 201, next);
        if (round === 0) continue; // to warm up
        figures.push(driven.rate);
        cpus.push(driven.cpu);
      }
    }
    line.notes.push(
      `CPU of the process per request: ${median(cpu.ours).toFixed(2)} ms, bare ${median(cpu.theirs).toFixed(2)} ms`,
    );
    return [line];
  } finally {
    await bare.stop();
    await server.stop();
  }
}

/** `GET /posts` over a large feed against a handler that answers the same bytes, and a deep page against the first. */
export async function readPosts(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  await fill(databaseUrl, Math.ceil(POSTS / stage.scale), Math.ceil(VOTES / stage.scale));
  const server = await stage.server(databaseUrl);
  const bare = await startBare('http');
  try {
    const accounts = await makeAccounts(server.url, CONNECTIONS, () => undefined);
    const lines: Line[] = [];
    for (const sort of ['new', 'top', 'hot']) lines.push(await readPage(stage, server, bare, accounts, sort));
    lines.push(await readDeep(stage, server, accounts));
    return lines;
  } finally {
    await bare.stop();
    await server.stop();
  }
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
  const line: Line = {
    what: `GET /posts, page of 10, sort=${sort}`,
    unit: 'ms CPU',
    limit: 'a bare Express handler that answers the same bytes',
    ours: [],
    theirs: [],
    // 0.7 × of its rate is 1 / 0.7 of its processor time.
    reach: { atMost: 1 / 0.7 },
    notes: [],
  };
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

async function readDeep(stage: Stage, server: { url: string; pid: number }, readers: Readers): Promise<Line> {
  const [reader] = readers;
  const token = reader?.token ?? '';
  const skip = Math.min(DEEP, Math.ceil(POSTS / stage.scale) - 20);
  const { headers } = await call(server.url, 'GET', `/posts?limit=1&skip=${skip - 1}`, { token });
  const link = /<([^>]+)>/.exec(headers.get('link') ?? '')?.[1] ?? '';
  const cursor = new URL(link, server.url).searchParams.get('cursor') ?? '';
  const page = (path: string) => {
    const requests = readers.map((each) => requestBytes('GET', path, each.token));
    return (connection: number) => requests[connection] ?? Buffer.alloc(0);
  };
  const line: Line = {
    what: `page ${skip} deep by cursor`,
    unit: '/s',
    limit: 'page 1',
    ours: [],
    theirs: [],
    reach: { atLeast: 0.9 },
    notes: [],
  };
  for (let round = 0; round < stage.rounds; round += 1) {
    line.ours.push(
      (await measured(server, 200, page(`/posts?limit=10&cursor=${encodeURIComponent(cursor)}`))).rate,
    );
    line.theirs.push((await measured(server, 200, page('/posts?limit=10'))).rate);
  }
  return line;
}

/** A burst at one server: answers a second, and milliseconds of its processor time for each. */
async function measured(
  { url, pid }: { url: string; pid: number },
  status: number,
  next: (connection: number) => Buffer,
): Promise<Driven & { rate: number; cpu: number }> {
  const before = await usageOf(pid);
  const driven = await drive(url, CONNECTIONS, MILLISECONDS, next);
  const cpu = (await usageOf(pid)).cpu - before.cpu;
  const others = [...driven.statuses.keys()].filter((each) => each !== status);
  if (others.length > 0) throw new Error(`answered ${others.join()} instead of ${status}: ${driven.body}`);
  return { ...driven, rate: driven.answers / driven.seconds, cpu: cpu / driven.answers };
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
