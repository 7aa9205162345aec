import { admits, PUBLIC, type Reader } from './audience.ts';
import type { Departure } from './event-type.ts';
import { EVERYTHING, FEED, HOME } from './topic.ts';

/** What decides who receives an event. */
export interface Addressed {
  seq: number;
  audience: string;
  topics: readonly string[];
  authorId: number | null;
  departure: Departure | null;
}

/**
 * What somebody wants of the events beside what concerns them alone, which always comes: a list of topics. It never
 * changes: another one takes its place. A subscriber without one receives everything public.
 */
export class Subscription {
  readonly topics: readonly string[];
  readonly hasHome: boolean;

  private constructor(topics: readonly string[]) {
    this.topics = topics;
    this.hasHome = topics.includes(HOME);
  }

  /** The many that have only `home`, or only `feed`, share one object. */
  static of(topics: Iterable<string>): Subscription {
    const distinct = [...new Set(topics)];
    const [only] = distinct;
    if (distinct.length === 1 && only === HOME) return (Subscription.#home ??= new Subscription(distinct));
    if (distinct.length === 1 && only === FEED) return (Subscription.#feed ??= new Subscription(distinct));
    return new Subscription(distinct);
  }

  static #home: Subscription | undefined;
  static #feed: Subscription | undefined;

  with(topics: readonly string[]): Subscription {
    return Subscription.of([...this.topics, ...topics]);
  }

  without(topics: readonly string[]): Subscription {
    return Subscription.of(this.topics.filter((topic) => !topics.includes(topic)));
  }
}

/** What somebody subscribes to by the topics that were named; undefined if to everything public. */
export function subscriptionTo(topics: readonly string[] | undefined): Subscription | undefined {
  return topics === undefined || topics.includes(EVERYTHING) ? undefined : Subscription.of(topics);
}

/** As what an event reaches somebody: as it is, as the departure from the topics that it leaves, or not at all. */
export type Reach = 'event' | 'departure' | undefined;

/**
 * Judges events for one subscription of one user, one after the other.
 * @param follows whether the user follows somebody at the number of an event
 */
export function reachOf(
  subscription: Subscription,
  reader: Reader,
  follows: (authorId: number, seq: number) => boolean,
): (event: Addressed) => Reach {
  const topics = new Set(subscription.topics);
  const home = topics.has(HOME);
  const wants = (named: readonly string[], { authorId, seq }: Addressed): boolean => {
    for (const topic of named) {
      if (topics.has(topic)) return true;
      if (home && topic === FEED && authorId !== null && (authorId === reader.id || follows(authorId, seq)))
        return true;
    }
    return false;
  };
  return (event) => {
    if (event.audience !== PUBLIC) return admits(event, reader) ? 'event' : undefined;
    if (wants(event.topics, event)) return 'event';
    return event.departure && wants(event.departure.topics, event) ? 'departure' : undefined;
  };
}
