import type { Follower } from '../log/follower.ts';
import { type LogEntry, PAGE_ROWS, type Probe } from '../log/reader.ts';
import type { SharedPages } from '../log/shared-pages.ts';
import type { TopicPositions } from '../log/topic-positions.ts';
import { audiencesOf } from '../topics/audience.ts';
import type { Subscription } from '../topics/subscription.ts';
import { authorOf, FEED, HOME } from '../topics/topic.ts';
import type { Member, RelationMemory } from './relation-memory.ts';
import type { FeedSubscriber } from './subscriber.ts';

/** Events of the log, in order. */
export interface EventRange {
  /** Among them are all events between the position that was asked for and `last` that are for the subscription. */
  entries: readonly LogEntry[];
  last: number;
  source: 'none' | 'ring' | 'log';
}

/** Events of the ring buffer that are looked at in one page. */
const RING_PAGE = 2000;
/** Events that a look at the indexes finds at most. */
const PROBE_PAGE = 200;
/** One look-up in an index costs about as much as so many events of a page that all clients share. */
const PROBE_COST = 25;

export interface MissedEventsOptions {
  feed: Pick<Follower, 'seq' | 'recent'>;
  relations: Pick<RelationMemory<FeedSubscriber>, 'extend'>;
  pages: Pick<SharedPages, 'after'>;
  probe: (probe: Probe, after: number, upTo: number, limit: number) => Promise<LogEntry[] | undefined>;
}

/**
 * Where the events that a subscription with topics has missed are found, the cheapest first: nowhere, since none of its
 * topics has had an event; in the ring buffer; by the indexes of the log; in pages of the log, which all share.
 */
export class MissedEvents {
  readonly #feed: MissedEventsOptions['feed'];
  readonly #relations: MissedEventsOptions['relations'];
  readonly #pages: MissedEventsOptions['pages'];
  readonly #probe: MissedEventsOptions['probe'];
  /** Replaced when the numbering ends. */
  positions: Pick<TopicPositions, 'floor' | 'lastOf' | 'lastOfAuthor'>;

  constructor(
    { feed, relations, pages, probe }: MissedEventsOptions,
    positions: Pick<TopicPositions, 'floor' | 'lastOf' | 'lastOfAuthor'>,
  ) {
    this.#feed = feed;
    this.#relations = relations;
    this.#pages = pages;
    this.#probe = probe;
    this.positions = positions;
  }

  /** Whether nothing after a position is for a subscription, as far as this node has come. */
  isQuiet(subscription: Subscription, member: Member<FeedSubscriber>, position: number): boolean {
    const { positions } = this;
    if (position < positions.floor) return false;
    if (audiencesOf(member.reader).some((audience) => positions.lastOf(audience) > position)) return false;
    for (const topic of subscription.topics) {
      const authorId = authorOf(topic);
      if (topic === HOME) {
        if (positions.lastOf(FEED) <= position) continue;
        for (const author of this.#atHome(member, position))
          if (positions.lastOfAuthor(author) > position) return false;
      } else if (authorId === undefined) {
        if (positions.lastOf(topic) > position) return false;
      } else if (positions.lastOfAuthor(authorId) > position) return false;
    }
    return true;
  }

  /**
   * What follows a position, if this node has it in memory.
   * @returns undefined if it has to be read
   */
  near(subscription: Subscription, member: Member<FeedSubscriber>, position: number): EventRange | undefined {
    if (!this.knowsFollows(subscription, member, position)) return undefined;
    const { seq } = this.#feed;
    if (this.isQuiet(subscription, member, position)) return { entries: [], last: seq, source: 'none' };
    const entries = this.#feed.recent(position, RING_PAGE);
    return entries && { entries, last: entries.at(-1)?.seq ?? position, source: 'ring' };
  }

  /**
   * Reads what follows a position.
   * @returns undefined if the log does not reach back so far
   * @throws if it cannot be read
   */
  async far(
    subscription: Subscription,
    member: Member<FeedSubscriber>,
    position: number,
  ): Promise<EventRange | undefined> {
    if (!this.knowsFollows(subscription, member, position)) await this.#relations.extend(member, position);
    const { seq } = this.#feed;
    const near = this.near(subscription, member, position);
    if (near) return near;
    const probe = this.#probeOf(subscription, member, position);
    const cost = probe ? lookUpsOf(probe) * PROBE_COST : Infinity;
    if (probe && cost < seq - position) {
      // Of one who takes what many write, a page of the log may have as much as that many look-ups find.
      const page = cost > 2 * PAGE_ROWS ? await this.#page(position) : undefined;
      if (page && wantedIn(page.entries, probe) * cost >= PROBE_PAGE * page.entries.length) return page;
      const found = await this.#probe(probe, position, seq, PROBE_PAGE);
      // It may have ended by its number or its size: what follows is for the next look.
      return found && { entries: found, last: found.at(-1)?.seq ?? seq, source: 'log' };
    }
    return this.#page(position);
  }

  /** @returns undefined if the log does not reach back so far */
  async #page(position: number): Promise<EventRange | undefined> {
    const entries = await this.#pages.after(position);
    if (entries[0]?.seq !== position + 1) return undefined;
    const known = entries.filter((entry) => entry.seq <= this.#feed.seq);
    return { entries: known, last: known.at(-1)?.seq ?? position, source: 'log' };
  }

  /**
   * Whether it is known whom a user followed at the events after a position, as far as that matters: not if there was
   * no change. Asked again after each wait: a user who follows hundreds meanwhile has the oldest changes forgotten.
   */
  knowsFollows(subscription: Subscription, { relations }: Member<FeedSubscriber>, position: number): boolean {
    if (!subscription.hasHome || position >= relations.changesFrom) return true;
    const isKnown =
      position >= this.positions.floor && this.positions.lastOf(`user:${relations.userId}`) <= position;
    if (isKnown) relations.extend(position, relations.changesFrom, []);
    return isKnown;
  }

  /** Of whom a home may have an event after a position. */
  #atHome({ relations }: Member<FeedSubscriber>, position: number): Iterable<number> {
    return [relations.userId, ...relations.follows, ...relations.changedSince(position)];
  }

  /** By what the events of a subscription are found; undefined if by nothing but the log itself. */
  #probeOf(subscription: Subscription, member: Member<FeedSubscriber>, position: number): Probe | undefined {
    const topics = [...audiencesOf(member.reader)];
    const authors = new Set<number>();
    for (const topic of subscription.topics) {
      const authorId = authorOf(topic);
      if (topic === FEED) return undefined;
      if (topic === HOME) for (const author of this.#atHome(member, position)) authors.add(author);
      else if (authorId === undefined) topics.push(topic);
      else {
        authors.add(authorId);
        // By which the end of a thread of somebody else is found that takes replies of theirs along.
        topics.push(topic);
      }
    }
    return { topics, authors: [...authors] };
  }
}

function lookUpsOf({ topics, authors }: Probe): number {
  return topics.length + authors.length;
}

/** How many of these events are found by what is looked up. */
function wantedIn(entries: readonly LogEntry[], probe: Probe): number {
  const [authors, topics] = [new Set(probe.authors), new Set(probe.topics)];
  return entries.filter(
    (entry) =>
      (entry.authorId !== null && authors.has(entry.authorId)) ||
      topics.has(entry.audience) ||
      entry.topics.some((topic) => topics.has(topic)),
  ).length;
}
