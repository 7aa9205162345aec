import type { LogEntry } from '../log/reader.ts';
import { MODERATORS, PUBLIC } from '../topics/audience.ts';
import { FEED, HOME } from '../topics/topic.ts';
import type { Member, RelationMemory } from './relation-memory.ts';
import type { FeedSubscriber } from './subscriber.ts';

/** Called for each subscriber that receives an event, once. */
export type OnReached = (subscriber: FeedSubscriber, isDeparture: boolean) => void;

/**
 * Who receives an event, among subscribers with topics that are up to date. It is looked up by the topics and the
 * author of the event, so that one that nobody wants costs a few look-ups, however many subscribers there are.
 */
export class TopicIndex {
  readonly #relations: Pick<RelationMemory<FeedSubscriber>, 'of' | 'eachFollower' | 'eachModerator'>;
  readonly #byTopic = new Map<string, Set<FeedSubscriber>>();

  constructor(relations: Pick<RelationMemory<FeedSubscriber>, 'of' | 'eachFollower' | 'eachModerator'>) {
    this.#relations = relations;
  }

  add(subscriber: FeedSubscriber): void {
    if (subscriber.indexed) return;
    subscriber.indexed = true;
    for (const topic of subscriber.subscription?.topics ?? []) {
      if (topic === HOME) continue;
      const known = this.#byTopic.get(topic);
      if (known) known.add(subscriber);
      else this.#byTopic.set(topic, new Set([subscriber]));
    }
  }

  /** @returns whether it was in */
  remove(subscriber: FeedSubscriber): boolean {
    if (!subscriber.indexed) return false;
    subscriber.indexed = false;
    for (const topic of subscriber.subscription?.topics ?? []) {
      const known = this.#byTopic.get(topic);
      if (known?.delete(subscriber) && known.size === 0) this.#byTopic.delete(topic);
    }
    return true;
  }

  /** Finds who receives an event as of its number: it is asked when the node passes it. */
  reach(entry: LogEntry, onReached: OnReached): void {
    const { seq, audience, topics, authorId, departure } = entry;
    const reached = (subscriber: FeedSubscriber, isDeparture: boolean) => {
      if (subscriber.found === seq || !subscriber.indexed) return;
      subscriber.found = seq;
      onReached(subscriber, isDeparture);
    };
    if (audience !== PUBLIC) {
      const reachMember = ({ subscribers }: Member<FeedSubscriber>) => {
        for (const subscriber of subscribers) reached(subscriber, false);
      };
      const reader = audience.startsWith('user:') ? this.#relations.of(Number(audience.slice(5))) : undefined;
      if (reader) reachMember(reader);
      if (audience === MODERATORS) this.#relations.eachModerator(reachMember);
      return;
    }
    this.#reachByTopics(topics, authorId, (subscriber) => reached(subscriber, false));
    if (departure) this.#reachByTopics(departure.topics, authorId, (subscriber) => reached(subscriber, true));
  }

  #reachByTopics(
    topics: readonly string[],
    authorId: number | null,
    reached: (subscriber: FeedSubscriber) => void,
  ): void {
    for (const topic of topics) {
      this.#byTopic.get(topic)?.forEach(reached);
      if (topic !== FEED || authorId === null) continue;
      const reachAtHome = ({ subscribers }: Member<FeedSubscriber>) => {
        for (const subscriber of subscribers) if (subscriber.subscription?.hasHome) reached(subscriber);
      };
      const author = this.#relations.of(authorId);
      if (author) reachAtHome(author);
      this.#relations.eachFollower(authorId, reachAtHome);
    }
  }
}
