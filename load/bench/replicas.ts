import { makeAccounts } from '../accounts.ts';
import { call } from '../rest.ts';
import { type Line, newLine } from './rounds.ts';
import { fillSearchedPosts } from './searched-posts.ts';
import { databaseCostOf, POSITION, REQUESTS } from './server-cost.ts';
import { openClient, type Stage } from './stage.ts';
import { startStandby } from './standby.ts';

const POSTS = 40_000;
const READS = 2000;
const AT_ONCE = 16;
/** Replies in the thread that is read. */
const REPLIES = 60;
/** How long the replica has to be used. Milliseconds. */
const PATIENCE = 30_000;

/** What reads cost the primary that has a replica, beside what they cost one without. */
export async function replicas(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  await fillSearchedPosts(databaseUrl, Math.ceil(POSTS / stage.scale), () => undefined);
  const replicaUrl = await startStandby(stage, databaseUrl);
  const database = await openClient(stage, databaseUrl);
  const without = await stage.server(databaseUrl);
  const served = await stage.server(databaseUrl, { DATABASE_REPLICA_URL: replicaUrl });
  const [account] = await makeAccounts(served.url, 1);
  const token = account?.token ?? '';
  const { body } = await call(served.url, 'POST', '/posts', {
    token,
    body: { title: 'a thread', content: '' },
  });
  const { id: root } = body as { id: number };
  for (let reply = 0; reply < REPLIES; reply += 1)
    await call(served.url, 'POST', `/posts/${root}/replies`, { token, body: { content: `reply ${reply}` } });
  await replicaIsUsed(served.url);
  const line = newLine({
    what: `${AT_ONCE} readers at once of pages, searches and threads: the primary, with a replica`,
    unit: 'µs CPU',
    limit: 'without a replica',
    reach: { atMost: 0.1 },
  });
  const count = Math.ceil(READS / stage.scale);
  const costOf = async (url: string) =>
    (1000 * (await databaseCostOf(database, () => read(url, token, root, count), [REQUESTS, POSITION]))) /
    count;
  for (let round = 0; round < stage.rounds + 1; round += 1) {
    const [theirs, ours] = [await costOf(without.url), await costOf(served.url)];
    if (round === 0) continue; // to warm up
    line.theirs.push(theirs);
    line.ours.push(ours);
  }
  return [line];
}

async function replicaIsUsed(url: string): Promise<void> {
  for (const end = performance.now() + PATIENCE; performance.now() < end;) {
    const { body } = await call(url, 'GET', '/readyz');
    if ((body as { status: string }).status === 'ok') return;
  }
  throw new Error('the replica is not used');
}

/** Reads lists of every kind, each with a second page, so many at once. */
async function read(url: string, token: string, root: number, count: number): Promise<void> {
  let begun = 0;
  const reader = async () => {
    while (begun < count) {
      const number = begun;
      begun += 2;
      const lists = [
        '/posts?',
        '/posts?sort=top&',
        '/posts?sort=hot&',
        `/posts?search=${wordOf(number)}&`,
        `/posts/${root}/replies?`,
      ];
      // Of many lengths: a page that was read a moment ago would be given out again.
      const path = `${lists[(number / 2) % lists.length]}limit=${10 + (Math.floor(number / 10) % 40)}`;
      const { headers } = await call(url, 'GET', path, { token });
      const next = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
      if (next !== undefined) await call(url, 'GET', next, { token });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
}

const wordOf = (number: number) => ['ferry', 'obelisk', 'gangway', 'lantern'][number % 4] ?? '';
