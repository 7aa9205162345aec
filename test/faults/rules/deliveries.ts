import type { Violation } from '../checker.ts';
import { type ClientHistory, type Delivery, fingerprint, type History } from '../history.ts';
import { countUpTo, renumbered } from '../public-numbering.ts';
import { Places, type Wanted } from '../views.ts';

/** How long after the end of its session a socket may still be written to. Milliseconds. */
const LAST_DELIVERY = 2000;
/** A connection that opened this long after an event was first heard of must not get the text that it took out. Milliseconds. */
const FORGOTTEN_AFTER = 3000;

/** Rules 3, 4 (its first half), 6 (its second half), 8, 10 and 12: what clients were given against the log. */
export function deliveryViolations(history: History): Violation[] {
  const truth = contents(history);
  const tellings = tellingsOf(history);
  const places = new Places(history);
  return [
    ...[...places.misplaced()].map((what) => ({ rule: 12 as const, what })),
    ...history.clients.flatMap((client) => {
      const wanted = client.view && places.wantedIn(client.view);
      return [
        ...(wanted ? outsideOfView(client, wanted) : []),
        ...gapsAndDoubles(wanted ? numberedByView(client, wanted) : client, headOf(history, wanted)),
        ...otherContent(client, truth, tellings, wanted),
        ...textsTakenOut(client, tellings),
        ...afterTheEnd(client),
      ];
    }),
  ];
}

function headOf({ head }: History, wanted: Wanted | undefined): number {
  return wanted ? wanted.size : head;
}

/** A client's events with the numbers 1, 2, 3 … of those that its view wants; a position between two is the first's. */
function numberedByView(client: ClientHistory, wanted: Wanted): ClientHistory {
  const seqs = [...wanted.keys()];
  return renumbered(
    { ...client, deliveries: client.deliveries.filter(({ seq }) => wanted.has(seq)) },
    (seq) => countUpTo(seqs, seq),
  );
}

function* outsideOfView({ client, view, deliveries }: ClientHistory, wanted: Wanted): Iterable<Violation> {
  for (const { seq, prev, position, name, id } of deliveries) {
    const what = `${client} [${view?.topics.join(' ') ?? ''}] got ${seq} (${name} of post ${id})`;
    if (!wanted.has(seq)) yield { rule: 12, what: `${what}, which it does not want` };
    if (position !== undefined && prev > position)
      yield { rule: 10, what: `${what}, which says that ${prev} is before it, standing at ${position}` };
  }
}

function* gapsAndDoubles(client: ClientHistory, head: number): Iterable<Violation> {
  const gapRule = client.kind === 'package' ? 3 : 10;
  const { client: name, start, deliveries, connections, present } = client;
  if (start === undefined) {
    if (present) yield { rule: 3, what: `${name} never got to ready` };
    return;
  }
  const had = new Set<number>();
  let position = start;
  for (const { seq, prev, connection } of deliveries) {
    if (had.has(seq)) yield { rule: 4, what: `${name} got ${seq} twice (connection ${connection})` };
    else if (seq <= position)
      yield { rule: 3, what: `${name} got ${seq} after ${position} (connection ${connection})` };
    else if (seq !== position + 1)
      yield { rule: gapRule, what: `${name} got ${seq} after ${position} (connection ${connection})` };
    // Nothing that it wants is left out.
    if (prev !== seq - 1)
      yield { rule: gapRule, what: `${name} got ${seq}, which says that ${prev} is before it` };
    had.add(seq);
    position = Math.max(position, seq);
  }
  if (present && position !== head)
    yield { rule: 3, what: `${name} stands at ${position}, the head is ${head}` };
  for (const [at, { ready }] of connections.entries()) {
    if (!ready) continue;
    if (ready.outcome === 'reset')
      yield { rule: 3, what: `${name} was reset (${ready.reason ?? ''}) on connection ${at}` };
    else if (ready.seq !== ready.position)
      yield {
        rule: gapRule,
        what: `${name} was greeted at ${ready.seq}, standing at ${ready.position} (connection ${at})`,
      };
  }
}

/**
 * seq → the fingerprint of what it says: as the log has it, or, for a text that is cut there, as most clients had it, be
 * it one with topics alone. What says to such a client that a post has left them has another name.
 */
function contents({ log, clients }: History): Map<number, number> {
  const truth = new Map<number, number>();
  const cut = new Map<number, string>();
  for (const { seq, name, data } of log) {
    if ('redacted' in data) cut.set(seq, name);
    else truth.set(seq, fingerprint(name, data));
  }
  const votes = new Map<number, Map<number, number>>();
  for (const { deliveries } of clients) {
    for (const { seq, name, hash, redacted } of deliveries) {
      if (redacted || cut.get(seq) !== name) continue;
      const counts = votes.get(seq) ?? new Map<number, number>();
      votes.set(seq, counts.set(hash, (counts.get(hash) ?? 0) + 1));
    }
  }
  for (const [seq, counts] of votes) {
    const [most] = [...counts].sort((a, b) => b[1] - a[1]);
    if (most) truth.set(seq, most[0]);
  }
  return truth;
}

/** An event of a post, which takes out the text of those before it: a deletion, a withdrawal or a newer version. */
interface Telling {
  seq: number;
  /** When the first client heard of it. */
  heardAt: number;
}

/** Post → its events, by seq. */
function tellingsOf({ log, clients }: History): Map<number, Telling[]> {
  const heard = new Map<number, number>();
  for (const { deliveries } of clients) {
    for (const { seq, at } of deliveries) heard.set(seq, Math.min(at, heard.get(seq) ?? Infinity));
  }
  const tellings = new Map<number, Telling[]>();
  for (const { postId, seq } of log) {
    const telling = { seq, heardAt: heard.get(seq) ?? Infinity };
    const ofPost = tellings.get(postId);
    if (ofPost) ofPost.push(telling);
    else tellings.set(postId, [telling]);
  }
  return tellings;
}

/** The event that took out the text of the one delivered. */
function supersededBy(tellings: Map<number, Telling[]>, { id, seq }: Delivery): Telling | undefined {
  return tellings.get(id)?.find((telling) => telling.seq > seq);
}

/** A replay with its text cut is the same event, but only if the log tells of the post again later. */
function* otherContent(
  { client, deliveries }: ClientHistory,
  truth: Map<number, number>,
  tellings: Map<number, Telling[]>,
  wanted: Wanted | undefined,
): Iterable<Violation> {
  for (const delivery of deliveries) {
    const { seq, name, id, hash, redacted } = delivery;
    const departure = wanted?.get(seq) ?? 'the event';
    if (departure !== 'the event') {
      if (hash !== departure)
        yield {
          rule: 3,
          what: `${client} got ${seq} (${name} of post ${id}), not that it has left its topics`,
        };
    } else if (redacted) {
      if (!supersededBy(tellings, delivery))
        yield {
          rule: 3,
          what: `${client} got ${seq} without its text, but no later event tells of post ${id}`,
        };
    } else {
      const expected = truth.get(seq);
      if (expected !== undefined && expected !== hash)
        yield { rule: 3, what: `${client} got other content for ${seq} (${name} of post ${id})` };
      if (expected === undefined) yield { rule: 3, what: `${client} got ${seq}, which is not in the log` };
    }
  }
}

function* textsTakenOut(
  { client, connections, deliveries }: ClientHistory,
  tellings: Map<number, Telling[]>,
): Iterable<Violation> {
  for (const delivery of deliveries) {
    if (delivery.redacted || delivery.name === 'post:deleted') continue;
    const later = supersededBy(tellings, delivery);
    const openedAt = connections[delivery.connection]?.openedAt ?? 0;
    if (later && openedAt > later.heardAt + FORGOTTEN_AFTER)
      yield {
        rule: 6,
        what: `${client} was told the text of post ${delivery.id} (${delivery.seq}) ${openedAt - later.heardAt} ms after ${later.seq} had taken it out`,
      };
  }
}

function* afterTheEnd({ client, endOfSession, deliveries }: ClientHistory): Iterable<Violation> {
  if (endOfSession === undefined) return;
  const late = deliveries.findLast(({ at }) => at > endOfSession + LAST_DELIVERY);
  if (late)
    yield {
      rule: 8,
      what: `${client} got ${late.seq} ${late.at - endOfSession} ms after its session had ended`,
    };
}
