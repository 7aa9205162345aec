import type { Senders } from './fair-bound.ts';

/**
 * Draws from what waits, each sender in turn: the first ask of each, then the second of each, and of these who came first.
 * A sender's own asks stay in their order. Of an ask that counts for several senders, as a user and the user's address, the
 * one that has had the most turns decides.
 * @param waiting in the order of arrival
 * @param most how many are drawn at most
 */
export function drawInTurns<Ask>(
  waiting: readonly Ask[],
  most: number,
  sendersOf: (ask: Ask) => Senders,
): { drawn: Ask[]; left: Ask[] } {
  if (waiting.length <= most) return { drawn: [...waiting], left: [] };
  const seen = new Map<number | string, number>();
  const turns = waiting.map((ask) => {
    const senders = sendersOf(ask);
    const turn = Math.max(...senders.map((sender) => seen.get(sender) ?? 0));
    for (const sender of senders) seen.set(sender, turn + 1);
    return { ask, turn };
  });
  const drawn = new Set(
    [...turns]
      .sort((a, b) => a.turn - b.turn)
      .slice(0, most)
      .map(({ ask }) => ask),
  );
  return { drawn: [...drawn], left: waiting.filter((ask) => !drawn.has(ask)) };
}
