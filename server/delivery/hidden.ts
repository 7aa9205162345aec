import type { LogEntry } from '../log/reader.ts';
import { hidesEvent } from '../topics/hidden.ts';
import type { FeedSubscriber } from './subscriber.ts';

/** Whether an event is kept from a subscriber. */
export function isHidden(
  { member, subscription }: Pick<FeedSubscriber, 'member' | 'subscription'>,
  event: Pick<LogEntry, 'authorId' | 'departure'>,
): boolean {
  if (!member || member.relations.hidesNobody) return false;
  return hidesEvent(member.relations, event, (id) => subscription?.topics.includes(`author:${id}`) === true);
}
