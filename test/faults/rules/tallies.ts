import type { Violation } from '../checker.ts';
import type { History } from '../history.ts';

/** Rule 7: the rows are the truth; the table, REST on every node, and every client must say the same. */
export function tallyViolations({ atRest, clients, tallyConflicts }: History): Violation[] {
  const violations: Violation[] = tallyConflicts.map((what) => ({ rule: 7, what }));
  for (const { id, votes, rev, counted, published } of atRest.posts) {
    const say = (who: string, told: string) =>
      violations.push({
        rule: 7,
        what: `post ${id} has ${counted} votes at rev ${rev}; ${who} says ${told}`,
      });
    if (votes !== counted) say('its tally', String(votes));
    if (!published) continue;
    for (const { node, tallies } of atRest.rest) {
      const told = tallies.get(id);
      if (told?.votes !== counted) say(`REST of ${node}`, String(told?.votes ?? 'nothing'));
    }
    for (const { client, tallies, present } of clients) {
      // Who came after the post was written, and was never told a tally of it, knows nothing of it.
      const told = tallies.get(id);
      if (present && told && told.votes !== counted) say(client, `${told.votes} at rev ${told.rev}`);
    }
  }
  return violations;
}
