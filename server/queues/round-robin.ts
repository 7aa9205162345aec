import type { Senders } from './queue-limit.ts';

/**
 * Puts asks in an order in which senders take turns: the first ask of each, then the second of each, and of these who came
 * first. A sender's own asks stay in their order. Of an ask that counts for several senders, as a user and the user's address,
 * the one that has had the most turns decides.
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
 * Draws from what waits, each sender in turn (see `roundRobin`).
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
