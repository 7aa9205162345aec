import type { PostView } from '../../server/contract.ts';
import type { Rule } from './checker.ts';
import {
  type ClientHistory,
  type ClientKind,
  type History,
  isPost,
  type LogRow,
  type Write,
} from './history.ts';

/** A fault put into a history that was really recorded, and the rules of which one at least must find it. */
export interface PlantedFault {
  rules: readonly Rule[];
  /** Changes a copy of the history. Throws if the history has no place for it. */
  plant: (history: History) => void;
}

export const plantedFaults = {
  'an event dropped on its way to one client': {
    rules: [10, 3],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients);
      deliveries.splice(middle(deliveries), 1);
    },
  },
  'an event dropped on its way to a stream': {
    rules: [10],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients, 'stream');
      deliveries.splice(middle(deliveries), 1);
    },
  },
  'an event doubled on its way to a stream': {
    rules: [4],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients, 'stream');
      deliveries.push(must(deliveries[middle(deliveries)]));
    },
  },
  'an event dropped between two answers to a long-poll': {
    rules: [10],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients, 'poll');
      deliveries.splice(middle(deliveries), 1);
    },
  },
  'two events swapped in an answer to a long-poll': {
    rules: [3, 10],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients, 'poll');
      swap(deliveries, middle(deliveries));
    },
  },
  'an event that names the one before the last to a stream': {
    rules: [10],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients, 'stream');
      must(deliveries[middle(deliveries)]).prev -= 1;
    },
  },
  'an event of its topics dropped on its way to a client': {
    rules: [10],
    plant: ({ clients }) => {
      const { deliveries } = topical(clients, 'stock');
      deliveries.splice(middle(deliveries), 1);
    },
  },
  'the newest event of its topics dropped on its way to a stream': {
    rules: [3],
    plant: ({ clients }) => {
      topical(clients, 'stream').deliveries.pop();
    },
  },
  'an event of its topics doubled in an answer to a long-poll': {
    rules: [4],
    plant: ({ clients }) => {
      const { deliveries } = topical(clients, 'poll');
      deliveries.push(must(deliveries[middle(deliveries)]));
    },
  },
  'an event of other topics': {
    rules: [12],
    plant: (history) => {
      const { deliveries } = topical(history.clients, 'package');
      const had = new Set(deliveries.map(({ seq }) => seq));
      const other = listener(history.clients).deliveries.find(({ seq }) => !had.has(seq));
      deliveries.push(must(other));
    },
  },
  'an event that says to a client with topics that a later position is before it': {
    rules: [10],
    plant: ({ clients }) => {
      const { deliveries } = topical(clients, 'stock');
      const delivery = must(deliveries[middle(deliveries)]);
      delivery.prev = must(delivery.position) + 1;
    },
  },
  'the text of a post whose tag an edit took away': {
    rules: [3],
    plant: ({ clients }) => {
      const departures = clients
        .filter(({ view }) => view)
        .flatMap(({ deliveries }) => deliveries)
        .filter(({ seq, name }) => name === 'post:deleted' && isUpdate(clients, seq));
      must(departures[0]).hash += 1;
    },
  },
  'a tag of a post that the log does not know': {
    rules: [12],
    plant: ({ log }) => {
      const { topics } = must(
        log.find(
          ({ data, topics }) =>
            isPost(data) && !data.redacted && topics.some((topic) => topic.startsWith('tag:')),
        ),
      );
      topics.splice(
        topics.findIndex((topic) => topic.startsWith('tag:')),
        1,
      );
    },
  },
  'the newest event dropped on its way to one client': {
    rules: [3],
    plant: ({ clients }) => listener(clients).deliveries.pop(),
  },
  'two events swapped on their way to one client': {
    rules: [3, 10],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients);
      swap(deliveries, middle(deliveries));
    },
  },
  'an event doubled on its way to one client': {
    rules: [4],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients);
      const at = middle(deliveries);
      deliveries.splice(at, 0, must(deliveries[at]));
    },
  },
  'other content for one client': {
    rules: [3],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients);
      must(deliveries.find(({ redacted, name }) => !redacted && name === 'post:created')).hash += 1;
    },
  },
  'an event lost from the log, the numbers closed over it': {
    rules: [1],
    plant: (history) => {
      const at = history.log.findIndex(({ name }) => name === 'post:created');
      renumber(history, (seq) =>
        seq === must(history.log[at]).seq ? undefined : seq > at + 1 ? seq - 1 : seq,
      );
      history.head -= 1;
    },
  },
  'a hole in the log': {
    rules: [2],
    plant: ({ log }) => log.splice(middle(log), 1),
  },
  "two events of the log with each other's numbers": {
    rules: [5, 6],
    plant: (history) => {
      const [early, late] = farApart(history);
      renumber(history, (seq) => (seq === early.seq ? late.seq : seq === late.seq ? early.seq : seq));
      history.log.sort((a, b) => a.seq - b.seq);
    },
  },
  'an event that no write made': {
    rules: [1],
    plant: (history) => {
      const { postId, topics, data } = must(history.log.find(({ name }) => name === 'post:created'));
      history.head += 1;
      history.log.push({
        seq: history.head,
        outboxId: 1e9,
        name: 'post:updated',
        postId,
        topics,
        data: { ...data, version: 99 },
      });
    },
  },
  'an idempotency key done twice': {
    rules: [4],
    plant: (history) => {
      const row = must(
        history.log.find(({ name, data }) => name === 'post:created' && !('redacted' in data)),
      );
      history.head += 1;
      const postId = 1e9;
      history.log.push({ ...row, seq: history.head, postId, data: { ...row.data, id: postId } });
    },
  },
  'an acknowledged write that is not there': {
    rules: [1],
    plant: ({ writes }) => {
      const write = must(writes.find(({ op, outcome }) => op === 'create' && outcome === 'ok'));
      writes.push({ ...write, key: 'planted-1', postId: 1e9 });
    },
  },
  'a vote without an effect': {
    rules: [1],
    plant: ({ atRest, writes }) => {
      const { userId, postId } = lastVote(writes, atRest.posts);
      const at = atRest.votes.findIndex((vote) => vote.userId === userId && vote.postId === postId);
      atRest.votes.splice(at, 1);
    },
  },
  'a tally off by one in the table': {
    rules: [7],
    plant: ({ atRest }) => {
      must(atRest.posts[0]).votes += 1;
    },
  },
  'a tally off by one at one client': {
    rules: [7],
    plant: ({ clients, atRest }) => {
      const { tallies } = listener(clients);
      const { id } = must(atRest.posts.find((post) => post.published && tallies.has(post.id)));
      const tally = must(tallies.get(id));
      tallies.set(id, { ...tally, votes: tally.votes + 1 });
    },
  },
  'a version twice': {
    rules: [6],
    plant: ({ log }) => {
      const update = must(log.find(({ name, data }) => name === 'post:updated' && 'version' in data));
      update.data = { ...update.data, version: (update.data as PostView).version - 1 };
    },
  },
  'an event after the deletion of its post': {
    rules: [6],
    plant: (history) => {
      // Of one that is gone for good: one that was withdrawn may have come back.
      const row = must(
        history.log.find(
          ({ name, postId, seq }) =>
            name === 'post:deleted' &&
            !history.log.some((later) => later.postId === postId && later.seq > seq),
        ),
      );
      history.head += 1;
      history.log.push({ ...row, seq: history.head });
    },
  },
  'the text of a deleted post in a later replay': {
    rules: [6],
    plant: ({ clients }) => {
      const heard = clients
        .flatMap(({ deliveries }) => deliveries)
        .find(({ name }) => name === 'post:deleted');
      const client = listener(clients);
      const at = client.deliveries.findIndex(
        ({ id, name, redacted }) => id === must(heard).id && name !== 'post:deleted' && !redacted,
      );
      const connection = must(client.connections[must(client.deliveries[at]).connection]);
      connection.openedAt = must(heard).at + 60_000;
    },
  },
  'the text of a superseded version in a later replay': {
    rules: [6],
    plant: ({ clients }) => {
      const client = listener(clients);
      const { deliveries, connections } = client;
      const superseded = must(
        deliveries.find(
          ({ id, seq, redacted, name }) =>
            !redacted &&
            name !== 'post:deleted' &&
            deliveries.some((later) => later.id === id && later.seq > seq && later.name === 'post:updated'),
        ),
      );
      must(connections[superseded.connection]).openedAt = must(deliveries.at(-1)).at + 60_000;
    },
  },
  'a delivery without its text that nothing took out': {
    rules: [3],
    plant: ({ clients }) => {
      const { deliveries } = listener(clients);
      const newest = deliveries.findLast(
        ({ id, seq, name }) =>
          name !== 'post:deleted' && !deliveries.some((other) => other.id === id && other.seq > seq),
      );
      must(newest).redacted = true;
    },
  },
  'a delivery to a session that has ended': {
    rules: [8],
    plant: ({ clients }) => {
      const client = listener(clients);
      client.endOfSession = must(client.deliveries.at(-1)).at - 2500;
    },
  },
  'an answer to a long-poll of a session that has ended': {
    rules: [8],
    plant: ({ clients }) => {
      const client = listener(clients, 'poll');
      client.endOfSession = must(client.deliveries.at(-1)).at - 2500;
    },
  },
  'a reset that nothing called for': {
    rules: [3],
    plant: ({ clients }) => {
      const { ready } = must(listener(clients).connections[0]);
      must(ready).outcome = 'reset';
    },
  },
  'a client that comes to the head late': {
    rules: [9],
    plant: ({ convergences }) => {
      convergences.push({ after: 'a planted fault', took: 5001, bound: 5000 });
    },
  },
  'an exit that nobody ordered': {
    rules: [11],
    plant: ({ misconduct }) => {
      misconduct.push({ node: 'node 1', at: 0, what: 'exited by itself with 1' });
    },
  },
} satisfies Record<string, PlantedFault>;

/** A client that was there from the first to the last event. */
function listener(clients: ClientHistory[], of: ClientKind = 'stock'): ClientHistory {
  return must(
    clients.find(
      ({ kind, present, deliveries, view }) => kind === of && present && !view && deliveries.length > 10,
    ),
  );
}

/** Of the clients of a kind that took some topics alone the one that was told most. */
function topical(clients: ClientHistory[], of: ClientKind): ClientHistory {
  return must(
    clients
      .filter(({ kind, view }) => kind === of && view !== undefined)
      .toSorted((a, b) => b.deliveries.length - a.deliveries.length)[0],
  );
}

/** Whether those who take everything were told of an update. */
function isUpdate(clients: ClientHistory[], seq: number): boolean {
  return listener(clients).deliveries.some(
    (delivery) => delivery.seq === seq && delivery.name === 'post:updated',
  );
}

function middle(items: unknown[]): number {
  return Math.floor(items.length / 2);
}

function swap(items: unknown[], at: number): void {
  [items[at], items[at + 1]] = [items[at + 1], items[at]];
}

/** Gives events other numbers, in the log and at every client alike; undefined takes an event away. */
function renumber(history: History, to: (seq: number) => number | undefined): void {
  const move = <T extends { seq: number }>(items: T[]): T[] =>
    items.flatMap((item) => {
      const seq = to(item.seq);
      return seq === undefined ? [] : [{ ...item, seq }];
    });
  history.log = move(history.log);
  for (const client of history.clients)
    client.deliveries = move(client.deliveries)
      .sort((a, b) => a.seq - b.seq)
      .map((delivery) => ({ ...delivery, prev: delivery.seq - 1 }));
  history.firstSeen = new Map(
    [...history.firstSeen].flatMap(([seq, data]) => {
      const moved = to(seq);
      return moved === undefined ? [] : [[moved, data] as const];
    }),
  );
}

/** Two creations of which one had been answered before the other began. */
function farApart({ log, writes }: History): [LogRow, LogRow] {
  const created = writes.filter(({ op, outcome }) => op === 'create' && outcome === 'ok');
  const first = must(created[0]);
  const second = must(created.find(({ begin }) => begin > first.end));
  const rowOf = ({ postId }: Write) =>
    must(log.find((row) => row.postId === postId && row.name === 'post:created'));
  return [rowOf(first), rowOf(second)];
}

function lastVote(writes: Write[], posts: History['atRest']['posts']): Write {
  const last = new Map<string, Write>();
  for (const write of writes)
    if (write.op === 'vote' || write.op === 'unvote') last.set(`${write.userId}:${write.postId ?? 0}`, write);
  return must(
    [...last.values()].find(
      ({ op, outcome, postId }) => op === 'vote' && outcome === 'ok' && posts.some(({ id }) => id === postId),
    ),
  );
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the recorded history has no place for this fault');
  return value;
}
