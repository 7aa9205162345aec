import type { Client } from '../client.ts';
import type { LiveEvent, RelatedUser } from '../contract.ts';
import type { RelationListOptions, RelationPage } from '../users.ts';
import { MAX_GROWTH, type PagesState } from './live-pages.ts';
import type { StoreFeed } from './live-source.ts';
import { PagedStore } from './paged-store.ts';
import { type RelationChange, relationChange } from './relation-news.ts';

/** A list of users. Whom one blocks or mutes nobody else can read. */
export type RelationList = 'following' | 'followers' | 'blocks' | 'mutes';

export interface RelationsStoreOptions {
  list: RelationList;
  /**
   * Whose followers, or followees; the user's own unless you say otherwise. Of another user's lists only what you are in
   * them is told live: other users' follows are theirs.
   */
  userId?: number;
  /** Users in a page. */
  limit?: number;
  /** As that of `createFeedStore`. Without one, a feed of its own, which has nothing but what concerns the user. */
  feed?: StoreFeed;
}

/** A user in the list. */
export interface ListedUser extends RelatedUser {
  /** Since when; undefined of one who came since the list was read: no event says it. */
  since: string | undefined;
}

/** The state to render. A new object after each change; users, and their list, are the same objects until they change. */
export interface RelationsState extends PagesState {
  /** The newest first. */
  users: readonly ListedUser[];
}

/**
 * A live list of those whom the user follows, blocks or mutes, or who follow them: pages of it and the events after
 * them, from whatever device.
 */
export class RelationsStore extends PagedStore<RelationsState, RelationPage> {
  readonly #client: Client;
  readonly #list: RelationList;
  /** Whose list it is, if somebody was named. */
  readonly #of: number | undefined;
  #users: readonly ListedUser[] = [];
  /** Events up to here are in the list; for users of a later page up to where that was read. */
  #asOf = 0;
  readonly #asOfUsers = new Map<number, number>();
  /** How many users have come on top since the list was read. */
  #growth = 0;
  /** The user whose pages are read, as the service has said. */
  #me: number | undefined;

  constructor(client: Client, { list, userId, limit, feed }: RelationsStoreOptions) {
    super({
      client,
      feed,
      topic: () => null,
      read: (cursor, signal) => this.#read({ ...(limit === undefined ? {} : { limit }), cursor, signal }),
      onPage: (page, which) => this.#take(page, which),
      onEvent: (event) => this.#fold(event),
      onForget: () => (this.#me = undefined),
      onReplaced: (seq) => this.#replace(seq),
    });
    this.#client = client;
    this.#list = list;
    this.#of = userId;
    this.made();
  }

  protected stateOf(pages: PagesState): RelationsState {
    return { users: this.#users, ...pages };
  }

  async #read(options: RelationListOptions): Promise<RelationPage> {
    const { users } = this.#client;
    if (this.#list === 'blocks' || this.#list === 'mutes') return users[this.#list](options);
    this.#me = this.pages.userId ?? (await this.#client.me()).id;
    return users[this.#list](this.#of ?? this.#me, options);
  }

  #take({ users, position: { seq } }: RelationPage, which: 'first' | 'next'): () => void {
    if (which === 'first') {
      this.#asOfUsers.clear();
      this.#asOf = seq;
      this.#growth = 0;
    }
    const before = which === 'first' ? [] : this.#users;
    const known = new Set(before.map(({ id }) => id));
    const fresh = users.filter(({ user }) => !known.has(user.id));
    for (const { user } of fresh) this.#asOfUsers.set(user.id, seq);
    this.#set([...before, ...fresh.map(({ user, created_at }) => ({ ...user, since: created_at }))]);
    return () => undefined;
  }

  #fold(event: LiveEvent): void {
    const change = relationChange(event);
    const user = change && this.#listed(change);
    if (!user) return;
    const { id, username } = user;
    if (event.seq <= (this.#asOfUsers.get(id) ?? this.#asOf)) return;
    this.#asOfUsers.set(id, event.seq);
    if (!change.added) this.#set(this.#users.filter((one) => one.id !== id));
    else if (!change.redacted && !this.#users.some((one) => one.id === id)) {
      this.#set([{ id, username, since: undefined }, ...this.#users]);
      this.#growth += 1;
      if (this.#growth > MAX_GROWTH && !this.pages.loading) void this.pages.reload();
    }
  }

  /** The database is another one. */
  #replace(seq: number): void {
    this.#asOfUsers.clear();
    this.#asOf = seq;
    this.#set([]);
  }

  /** The user whom a change brings into the list, or takes out of it. */
  #listed({ relation, by, of }: RelationChange): RelatedUser | undefined {
    const whose = this.#of ?? this.#me;
    switch (this.#list) {
      case 'following':
        return relation === 'follow' && by?.id === whose ? of : undefined;
      case 'followers':
        return relation === 'follow' && of.id === whose ? by : undefined;
      case 'blocks':
        return relation === 'block' ? of : undefined;
      case 'mutes':
        return relation === 'mute' ? of : undefined;
    }
  }

  #set(users: readonly ListedUser[]): void {
    this.#users = users;
    this.pages.changed();
  }
}

/** A list of users to render that stays true by itself. Nothing is loaded before `load`. */
export function createRelationsStore(client: Client, options: RelationsStoreOptions): RelationsStore {
  return new RelationsStore(client, options);
}
