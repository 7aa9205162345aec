import type { Senders } from './queue-limit.ts';

/**
 * Orders requests so that senders take turns (round-robin): the first request of each, then the second of each, in
 * order of arrival. A sender's own requests stay in order. If a request counts for several senders, such as a user and
 * its address, the one with the most turns decides.
 * @param asks in the order of arrival
 */
export function roundRobin<Ask>(asks: readonly Ask[], sendersOf: (ask: Ask) => Senders): Ask[] {
  if (asks.length < 2) return [...asks];
  const seen = new Map<number | string, number>();
  const turns = asks.map((ask) => {
    const senders = sendersOf(ask);
    const turn = Math.max(...senders.map((sender) => seen.get(sender) ?? 0));
    for (const sender of senders) seen.set(sender, turn + 1);
    return { ask, turn };
  });
  return turns.sort((a, b) => a.turn - b.turn).map(({ ask }) => ask);
}

/**
 * Takes waiting requests, each sender in turn (see `roundRobin`).
 * @param waiting in the order of arrival
 * @param most how many are drawn at most
 */
export function takeRoundRobin<Ask>(
  waiting: readonly Ask[],
  most: number,
  sendersOf: (ask: Ask) => Senders,
): { drawn: Ask[]; left: Ask[] } {
  if (waiting.length <= most) return { drawn: [...waiting], left: [] };
  const drawn = new Set(roundRobin(waiting, sendersOf).slice(0, most));
  return { drawn: [...drawn], left: waiting.filter((ask) => !drawn.has(ask)) };
}
