import type { History } from './history.ts';
import { deliveryViolations } from './rules/deliveries.ts';
import { logViolations } from './rules/log.ts';
import { tallyViolations } from './rules/tallies.ts';
import { writeViolations } from './rules/writes.ts';

/** The promise that a history breaks, by the number of its rule below. */
export interface Violation {
  rule: Rule;
  what: string;
}

export type Rule = keyof typeof rules;

export const rules = {
  1: 'Every write that was answered ok has exactly one event (a vote: one effect), a refused one none, an unknown one none or one',
  2: 'The log is 1 … head without a hole',
  3: "Each client's events are contiguous from its start to the head, and the content of a seq is the same for all",
  4: 'No seq twice on a client, no write key twice in the log',
  5: 'A write that ended before another began has the lower seq',
  6: 'Per post version and rev only grow, and nothing comes after its deletion; its text is in no later replay',
  7: 'At rest the tally at every client = REST = count(*)',
  8: "Nothing is delivered later than 2 s after its session's end",
  9: 'All converge within the bound after the last fault is healed',
  10: 'Stock clients, streams and long-polls see no gap on the wire',
  11: 'No unhandled rejection, no uncaught exception, no exit that was not ordered, no 500',
  12: 'Each event has the topics of its post, and a client with topics gets no event of others',
} as const;

/** Judges a history by all the rules. Pure: the same history, the same violations. */
export function check(history: History): Violation[] {
  return [
    ...logViolations(history),
    ...writeViolations(history),
    ...deliveryViolations(history),
    ...tallyViolations(history),
    ...history.convergences
      .filter(({ took, bound }) => took > bound)
      .map(({ after, took, bound }) => ({
        rule: 9 as const,
        what: `after ${after}: ${Number.isFinite(took) ? `${took} ms` : 'never'}, not within ${bound} ms`,
      })),
    ...history.misconduct.map(({ node, what }) => ({ rule: 11 as const, what: `${node}: ${what}` })),
    ...history.writes
      .filter(({ status }) => status === 500)
      .map(({ key, op }) => ({ rule: 11 as const, what: `${op} ${key} was answered with a 500` })),
  ];
}
