import { isDeepStrictEqual } from 'node:util';
import type { FollowChange } from '../../server/contract.ts';
import type { Story } from './record.ts';
import type { Violation } from './rules.ts';

/** Who follows somebody, or whom somebody follows, as it was read. */
export interface RelationListPage {
  list: 'followers' | 'following';
  userId: number;
  seq: number;
  users: readonly number[];
  isQuiet: boolean;
}

/** A list at a position with the changes that the user was told of behind it is the list at the end. */
export function relationListViolations(
  pages: readonly RelationListPage[],
  stories: readonly Story[],
): Violation[] {
  const violations: Violation[] = [];
  for (const { name, userId, segments } of stories) {
    const start = segments[0]?.from ?? Infinity;
    for (const list of ['followers', 'following'] as const) {
      const own = pages.filter((page) => page.userId === userId && page.list === list && page.seq >= start);
      const [mine, other] =
        list === 'following' ? (['follower', 'followee'] as const) : (['followee', 'follower'] as const);
      for (const end of own.filter(({ isQuiet }) => isQuiet))
        for (const page of own) {
          const users = new Set(page.users);
          for (const { seq, event } of segments.flatMap(({ told }) => told)) {
            if (!event?.name.startsWith('follow:') || seq <= page.seq || seq > end.seq) continue;
            const data = event.data as unknown as FollowChange;
            if (data[mine].id !== userId) continue;
            if (event.name === 'follow:added') users.add(data[other].id);
            else users.delete(data[other].id);
          }
          const [made, read] = [[...users].sort(), [...end.users].sort()];
          if (page.seq <= end.seq && !isDeepStrictEqual(made, read))
            violations.push({
              rule: 'fold',
              what: `${name}: ${list} at ${page.seq} with what came up to ${end.seq}: ${made.join(' ')}, not ${read.join(' ')}`,
            });
        }
    }
  }
  return violations;
}
