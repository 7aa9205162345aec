import { makeAccounts } from '../accounts.ts';
import { inLanes } from '../lanes.ts';
import { call } from '../rest.ts';
import { type Line, newLine } from './rounds.ts';
import { fillSearchedPosts } from './searched-posts.ts';
import { databaseCostOf, POSITION, REQUESTS } from './server-cost.ts';
import { openClient, type Stage } from './stage.ts';
import { startStandby } from './standby.ts';

const POSTS = 40_000;
/** Each list is read in pages of so many lengths, so many pages each. */
const LENGTHS = 40;
const PAGES = 10;
const AT_ONCE = 16;
/** Replies in the thread that is read. */
const REPLIES = 300;
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
  for (let reply = 0; reply < Math.ceil(REPLIES / stage.scale); reply += 1)
    await call(served.url, 'POST', `/posts/${root}/replies`, { token, body: { content: `reply ${reply}` } });
  await replicaIsUsed(served.url);
  const line = newLine({
    what: `${AT_ONCE} readers at once of pages, searches and threads: the primary, with a replica`,
    unit: 'µs CPU',
    limit: 'without a replica',
    reach: { atMost: 0.1 },
  });
  const lengths = Math.ceil(LENGTHS / stage.scale);
  const costOf = async (url: string) => {
    let reads = 0;
    const cost = await databaseCostOf(database, async () => {
      reads = await read(url, token, root, lengths);
    }, [REQUESTS, POSITION]);
    return (1000 * cost) / reads;
  };
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

/**
 * Reads on in lists of every kind, so many at once. No address comes twice: a page that was read a moment ago would be given
 * out again.
 * @returns how many pages it read
 */
async function read(url: string, token: string, root: number, lengths: number): Promise<number> {
  const lists = Array.from({ length: lengths }, (_, at) => at).flatMap((at) =>
    [
      '/posts?',
      '/posts?sort=top&',
      '/posts?sort=hot&',
      `/posts?search=${wordOf(at)}&`,
      `/posts/${root}/replies?`,
    ].map((list) => `${list}limit=${10 + at}`),
  );
  let reads = 0;
  await inLanes(lists.length, AT_ONCE, async (number) => {
    let path = lists[number];
    for (let page = 0; path !== undefined && page < PAGES; page += 1) {
      reads += 1;
      const { headers } = await call(url, 'GET', path, { token });
      path = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    }
  });
  return reads;
}

const wordOf = (number: number) => ['ferry', 'obelisk', 'gangway', 'lantern'][number % 4] ?? '';
