import { withDeadline } from '../../client/src/deadline.ts';
import { setTimeout as pause } from 'node:timers/promises';
import type { PostView } from '../../server/contract.ts';
import type { Cluster } from './cluster.ts';
import type { AtRest, History, LogRow } from './history.ts';
import { withPublicNumbers } from './public-numbering.ts';
import type { Population } from './population.ts';

/** How long tallies may take after the last event: one window, and the next look into the database. Milliseconds. */
const SETTLE_WITHIN = 10_000;

/**
 * Waits until nothing is left to be numbered and every client stands at the head.
 * @returns milliseconds since `since`; Infinity if some client did not get there within the time
 */
export async function converge(
  cluster: Cluster,
  people: Population,
  since: number,
  within: number,
): Promise<number> {
  while (Date.now() - since < within) {
    const head = await headOf(cluster);
    const { present } = people;
    if (head !== undefined && present.every((client) => client.ready && (client.seq ?? -1) >= head))
      return Date.now() - since;
    await pause(25);
  }
  return Infinity;
}

/** The last event that everybody hears of, once the outbox is empty. */
async function headOf(cluster: Cluster): Promise<number | undefined> {
  const [row] = await cluster
    .query<{ seq: number; waiting: number }>(
      `select coalesce((select max(seq) from event_log where audience = 'public'), 0)::float8 as seq,
         (select count(*)::float8 from event_outbox) as waiting`,
    )
    .catch(() => []);
  return row?.waiting === 0 ? row.seq : undefined;
}

/**
 * Reads what the checker needs, when nothing happens any more.
 * @param options.base where the history begins
 * @param options.settles whether the tallies are waited for
 */
export async function collect(
  cluster: Cluster,
  people: Population,
  { base = 0, settles = true }: { base?: number; settles?: boolean } = {},
): Promise<History> {
  if (settles) await talliesSettled(cluster, people);
  const { recorder } = people;
  // As of one moment: owners are told of votes for some seconds after the last one.
  const [logged] = await cluster.query<{ head: number; log: (LogRow & { audience: string })[] }>(
    `select h.seq::float8 as head, (
       select coalesce(json_agg(json_build_object('seq', e.seq, 'outboxId', e.outbox_id, 'name', e.name,
         'postId', e.entity_id, 'data', e.data, 'audience', e.audience) order by e.seq), '[]')
       from event_log e where e.seq > $1
     ) as log
     from feed_head h`,
    [base],
  );
  const { head, log } = logged ?? { head: 0, log: [] };
  const last = log.at(-1)?.seq ?? base;
  const history: History = {
    writes: recorder.writes,
    clients: people.clients.map((client) => client.history),
    base,
    log,
    head,
    firstSeen: recorder.firstSeen,
    atRest: await readAtRest(cluster, people),
    tallyConflicts: recorder.tallyConflicts,
    misconduct: cluster.nodes.flatMap((node) => node.process.misconduct),
    convergences: recorder.convergences,
  };
  if (last !== head || log.length !== last - base) return history; // with a hole, which is told as it is
  const isPublic = ({ audience }: { audience: string }) => audience === 'public';
  return withPublicNumbers(
    history,
    log.filter(isPublic).map(({ seq }) => seq),
  );
}

/** Until every client has asked for all tallies that it shows and holds what the table says; or the time is over. */
async function talliesSettled(cluster: Cluster, people: Population): Promise<void> {
  const deadline = Date.now() + SETTLE_WITHIN;
  while (Date.now() < deadline) {
    await pause(100);
    if (!people.present.every((client) => client.settled)) continue;
    const rows = await cluster.query<{ id: number; votes: number }>(
      'select p.id::float8 as id, t.votes from posts p join post_tallies t on t.post_id = p.id where p.published',
    );
    const wrong = people.present.some(({ history }) =>
      rows.some(({ id, votes }) => (history.tallies.get(id)?.votes ?? votes) !== votes),
    );
    if (!wrong) return;
  }
}

async function readAtRest(cluster: Cluster, people: Population): Promise<AtRest> {
  const posts = await cluster.query<AtRest['posts'][number]>(
    `select p.id::float8 as id, p.published, p.version, p.title, t.votes, t.rev::float8 as rev,
       (select count(*)::float8 from votes v where v.post_id = p.id) as counted
     from posts p join post_tallies t on t.post_id = p.id`,
  );
  const votes = await cluster.query<AtRest['votes'][number]>(
    'select user_id::float8 as "userId", post_id::float8 as "postId" from votes',
  );
  const rest = await Promise.all(
    cluster.nodes.map(async (node) => ({
      node: node.process.name,
      tallies: await talliesOverRest(node.process.url, people.listener.token),
    })),
  );
  return { posts, votes, rest };
}

/** Walks through `GET /posts` to its end. */
async function talliesOverRest(
  url: string,
  token: string,
): Promise<Map<number, { votes: number; rev: number }>> {
  const tallies = new Map<number, { votes: number; rev: number }>();
  let next: string | undefined = '/posts?limit=100';
  while (next !== undefined) {
    const path: string = next;
    const response: Response = await withDeadline(10_000, undefined, (signal) =>
      fetch(url + path, { headers: { authorization: `Bearer ${token}` }, signal }),
    );
    if (response.status !== 200) throw new Error(`GET ${next} was answered with ${response.status}`);
    for (const { id, votes, rev } of (await response.json()) as PostView[]) tallies.set(id, { votes, rev });
    next = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
  }
  return tallies;
}
