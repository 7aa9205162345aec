import type { ClientHistory, History } from './history.ts';

/**
 * A history in which the events for everybody have the numbers 1, 2, 3 … behind its base, in the log and at every
 * client. The others, of which the rules say nothing (owners are told of votes, say), are left out of the log, and a
 * position between two events for everybody is that of the first. So the rules can say that nothing is left out.
 *
 * The clients' user is told of none of the others: one that comes to a client has the number of an event before it.
 * @param publicSeqs the numbers of the events for everybody after the base, in order
 */
export function withPublicNumbers(history: History, publicSeqs: readonly number[]): History {
  const { base } = history;
  const isPublic = new Set(publicSeqs);
  const numberOf = (seq: number): number => (seq <= base ? seq : base + countUpTo(publicSeqs, seq));
  return {
    ...history,
    head: numberOf(history.head),
    log: history.log
      .filter(({ seq }) => isPublic.has(seq))
      .map((row) => ({ ...row, seq: numberOf(row.seq) })),
    firstSeen: new Map(
      [...history.firstSeen].filter(([seq]) => isPublic.has(seq)).map(([seq, data]) => [numberOf(seq), data]),
    ),
    clients: history.clients.map((client) => renumbered(client, numberOf)),
  };
}

/** What a client was told, with other numbers for the same positions. */
export function renumbered(client: ClientHistory, numberOf: (seq: number) => number): ClientHistory {
  const numberOfAny = (seq: number | undefined) => (seq === undefined ? undefined : numberOf(seq));
  return {
    ...client,
    start: numberOfAny(client.start),
    connections: client.connections.map((connection) => ({
      ...connection,
      after: numberOfAny(connection.after),
      ready: connection.ready && {
        ...connection.ready,
        seq: numberOf(connection.ready.seq),
        position: numberOf(connection.ready.position),
      },
    })),
    deliveries: client.deliveries.map((delivery) => ({
      ...delivery,
      seq: numberOf(delivery.seq),
      prev: numberOf(delivery.prev),
      position: numberOfAny(delivery.position),
    })),
  };
}

/** How many of these numbers, which are in order, lie at another one or below it. */
export function countUpTo(seqs: readonly number[], seq: number): number {
  let [low, high] = [0, seqs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((seqs[middle] ?? Infinity) <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
