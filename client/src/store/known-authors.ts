import type { Client } from '../client.ts';
import type { LiveEvent } from '../contract.ts';
import { postEvent } from '../event-names.ts';
import { Feed } from '../feed/feed.ts';
import { type PostTold, tellsPost } from '../post-events.ts';
import { TidingsError } from '../tidings-error.ts';
import type { StoreFeed } from './live-source.ts';
import { relationNews } from './relation-news.ts';

/** Users that are remembered at most: more than anybody may follow. */
const KEPT = 10_000;

/** What is known of how the user stands to another one. */
interface Standing {
  followed?: boolean;
  muted?: boolean;
}

/**
 * Whom the user follows and mutes, as far as the stores of a shared feed have to know: it brings posts of all its topics,
 * no event says which topic it came for, and for `author:ID` the posts of a muted user come as well. Users of whom too
 * little is known are looked up, once for all stores.
 */
export class KnownAuthors {
  readonly #client: Client;
  readonly #feed: Feed;
  /** A newer word about a user comes last. */
  readonly #known = new Map<number, Standing>();
  /** The look-ups that are in progress, with what events have told meanwhile. */
  readonly #asked = new Map<number, { told: Standing; answer: Promise<void> }>();

  constructor(client: Client, feed: Feed) {
    this.#client = client;
    this.#feed = feed;
    feed.on('event', (event) => this.#hear(event));
    feed.on('reset', () => {
      // Events that are left out may have told of follows and mutes.
      this.#known.clear();
      this.#asked.clear();
    });
  }

  /** @returns undefined if it is not known */
  follows(userId: number): boolean | undefined {
    return this.#known.get(userId)?.followed;
  }

  /** @returns undefined if it is not known: only of users whose posts come though they may be muted */
  mutes(userId: number): boolean | undefined {
    const { muted } = this.#known.get(userId) ?? {};
    return muted ?? (this.#feed.hears(`author:${userId}`) ? undefined : false);
  }

  /** Looks a user up. What events tell of the user meanwhile counts. @throws {TidingsError} */
  lookUp(userId: number): Promise<void> {
    const asked = this.#asked.get(userId);
    if (asked) return asked.answer;
    const told: Standing = {};
    const answer = this.#ask(userId, told);
    this.#asked.set(userId, { told, answer });
    return answer;
  }

  async #ask(userId: number, told: Standing): Promise<void> {
    const isWanted = () => this.#asked.get(userId)?.told === told;
    try {
      const { followed = false, muted = false } = await this.#client.users.get(userId);
      if (isWanted()) this.#set(userId, { followed, muted, ...told });
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'not_found') throw error;
      if (isWanted()) this.#set(userId, { followed: false, muted: false, ...told });
    } finally {
      if (isWanted()) this.#asked.delete(userId);
    }
  }

  #hear(event: LiveEvent): void {
    const news = relationNews(event, this.#feed.userId);
    if (!news || news.relation === 'block') return;
    const { userId, relation, added } = news;
    const told: Standing = relation === 'follow' ? { followed: added } : { muted: added };
    Object.assign(this.#asked.get(userId)?.told ?? {}, told);
    this.#set(userId, { ...this.#known.get(userId), ...told });
  }

  #set(userId: number, standing: Standing): void {
    this.#known.delete(userId);
    this.#known.set(userId, standing);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KEPT && oldest !== undefined) this.#known.delete(oldest);
  }
}

const ofFeeds = new WeakMap<Feed, KnownAuthors>();

/** What the stores of a feed know together; undefined of a feed for one store alone, which brings nothing but its list. */
export function authorsOf(client: Client, feed: StoreFeed | undefined): KnownAuthors | undefined {
  if (!(feed instanceof Feed)) return undefined;
  let authors = ofFeeds.get(feed);
  if (!authors) ofFeeds.set(feed, (authors = new KnownAuthors(client, feed)));
  return authors;
}

/** The events that tell of posts by an author, but for what a later event has taken away. */
export function postsBy(ownerId: number, events: readonly LiveEvent[]): PostTold[] {
  const posts: PostTold[] = [];
  const gone = new Set<number>();
  for (const event of [...events].reverse()) {
    if (!tellsPost(event)) {
      if (event.name === postEvent.removed) gone.add(event.data.id);
    } else if (event.data.owner_id === ownerId && !gone.has(event.data.id)) posts.unshift(event);
  }
  return posts;
}
