import { withDeadline } from '../../client/src/deadline.ts';
import { setTimeout as pause } from 'node:timers/promises';
import type { PostView } from '../../server/contract.ts';
import type { Cluster } from './cluster.ts';
import type { AtRest, History, LogRow, View } from './history.ts';
import type { Listener } from './listener.ts';
import { withPublicNumbers } from './public-numbering.ts';
import type { Population } from './population.ts';
import { Places } from './views.ts';

/** How long tallies may take after the last event: one window, and the next look into the database. Milliseconds. */
const SETTLE_WITHIN = 10_000;

/**
 * Waits until nothing is left to be numbered, every client that takes everything stands at the head, and every other
 * one has been given the last event of its topics. Where that one stands is another matter: between the events of its
 * topics it is told of the head by beacons alone.
 * @returns milliseconds since `since`; Infinity if some client did not get there within the time
 */
export async function converge(
  cluster: Cluster,
  people: Population,
  since: number,
  within: number,
): Promise<number> {
  let ends: { head: number; ofViews: ReadonlyMap<View, number> } | undefined;
  while (Date.now() - since < within) {
    const head = await headOf(cluster);
    if (head !== undefined) {
      const had = people.present.map((client) => ({
        view: client.history.view,
        upTo: isServed(client) ? given(client) : -1,
      }));
      const took = Date.now() - since;
      if (had.every(({ view, upTo }) => upTo >= (view ? 0 : head))) {
        // Read once all others are there, as it takes a while: what is compared with it was true when the time was taken.
        if (ends?.head !== head) ends = { head, ofViews: await endsOfViews(cluster, people) };
        const { ofViews } = ends;
        if (had.every(({ view, upTo }) => !view || upTo >= (ofViews.get(view) ?? 0))) return took;
      }
    }
    await pause(25);
  }
  return Infinity;
}

/** A long-poll for topics is answered when something of theirs comes, or when it has waited: no sign of it comes sooner. */
function isServed({ ready, history: { kind, view } }: Listener): boolean {
  return ready || (kind === 'poll' && view !== undefined);
}

/** Up to which event a client has been given all that it wants, if none was left out; -1 before it has begun. */
function given({ seq, history: { view, start, deliveries } }: Listener): number {
  return (view ? (deliveries.at(-1)?.seq ?? start) : seq) ?? -1;
}

/** Of each view the last event that it wants, by what the posts say. */
async function endsOfViews(cluster: Cluster, people: Population): Promise<Map<View, number>> {
  const { log } = await readLog(cluster, 0);
  const places = new Places({ log: log.filter(isPublic), firstSeen: people.recorder.firstSeen });
  const views = people.present.flatMap(({ history: { view } }) => view ?? []);
  return new Map(views.map((view) => [view, Math.max(0, ...places.wantedIn(view).keys())]));
}

/**
 * Waits until every client stands at the head, also those that want none of the last events.
 * @returns how many do not after so many milliseconds
 */
export async function clientsElsewhere(
  cluster: Cluster,
  people: Population,
  within: number,
): Promise<number> {
  const deadline = Date.now() + within;
  for (;;) {
    const last = (await headOf(cluster)) ?? Infinity;
    const [head] = await cluster.query<{ seq: number }>('select seq::float8 as seq from feed_head');
    // Behind the last event for everybody there may be some for others, which move some clients and not the rest.
    const isAtHead = ({ seq = -1 }: Listener) => seq >= last && seq <= (head?.seq ?? 0);
    const elsewhere = people.present.filter((client) => !isAtHead(client)).length;
    if (elsewhere === 0 || Date.now() > deadline) return elsewhere;
    await pause(25);
  }
}

/** The last event for everybody, once the outbox is empty; undefined until then. */
export async function headOf(cluster: Cluster): Promise<number | undefined> {
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
  const { head, log } = await readLog(cluster, base);
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
  return withPublicNumbers(
    history,
    log.filter(isPublic).map(({ seq }) => seq),
  );
}

type AnyLogRow = LogRow & { audience: string };

const isPublic = ({ audience }: AnyLogRow) => audience === 'public';

/** The log after a position, and its head, as of one moment. */
async function readLog(cluster: Cluster, base: number): Promise<{ head: number; log: AnyLogRow[] }> {
  const [logged] = await cluster.query<{ head: number; log: AnyLogRow[] }>(
    `select h.seq::float8 as head, (
       select coalesce(json_agg(json_build_object('seq', e.seq, 'outboxId', e.outbox_id, 'name', e.name,
         'postId', e.entity_id, 'topics', e.topics, 'data', e.data, 'audience', e.audience) order by e.seq), '[]')
       from event_log e where e.seq > $1
     ) as log
     from feed_head h`,
    [base],
  );
  return logged ?? { head: 0, log: [] };
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
    `select p.id::float8 as id, p.published, p.version, coalesce(p.title, p.content) as title, t.votes, t.rev::float8 as rev,
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
  let next: string | undefined = '/posts?limit=100&replies=true';
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
