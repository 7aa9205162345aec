import { createClient, type Feed } from '../../client/src/index.ts';
import type { FeedEventName, FeedEvents, Position } from '../../server/contract.ts';
import { feedEventNames } from '../support/feed-event-names.ts';
import { type ClientHistory, isPost } from './history.ts';
import { goneId, Heard } from './heard.ts';
import type { Listener, ListenerOptions } from './listener.ts';

/**
 * Our own client package, as a user of it would follow the feed: it logs in, tracks every post that it shows, and believes
 * what it is handed. What it hears has been through the package's repairs.
 */
export class PackageClient implements Listener {
  readonly #heard: Heard;
  readonly #options: ListenerOptions;
  readonly #tracked = new Map<number, () => void>();
  #feed: Feed | undefined;
  #stopped = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#heard = new Heard('package', options);
  }

  get seq(): number | undefined {
    return this.#feed?.position?.seq;
  }

  get epoch(): string | undefined {
    return this.#feed?.position?.epoch;
  }

  get ready(): boolean {
    return this.#feed?.status.state === 'live';
  }

  /** It asks for tallies by itself and does not say when it has them all: who waits looks at them. */
  get settled(): boolean {
    return this.ready;
  }

  get history(): ClientHistory {
    return this.#heard.history;
  }

  get longestSilence(): number {
    return this.#heard.longestSilence;
  }

  start(): void {
    // It may be born in the middle of a fault.
    this.#connect().catch(() => {
      if (!this.#stopped) setTimeout(() => this.start(), 500);
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#feed?.close();
  }

  async #connect(): Promise<void> {
    const { url, user, from, view } = this.#options;
    const client = createClient({ url });
    await client.logIn(user);
    if (this.#stopped) return;
    const feed = client.feed({ ...from, ...(view && { topics: view.topics }), tallies: 'tracked' });
    this.#feed = feed;
    for (const name of feedEventNames) {
      feed.on(name, (data: FeedEvents[FeedEventName], at: Position) => this.#event(name, data, at));
    }
    feed.on('tally', ({ post_id, votes, replies, rev }) => {
      this.#options.recorder.tally({ post_id, votes, replies, rev }, this.history.client);
      if (this.#tracked.has(post_id)) this.history.tallies.set(post_id, { votes, rev });
    });
    feed.on('ready', (ready) => {
      this.#opened();
      const position = this.history.deliveries.at(-1)?.seq ?? this.history.start ?? ready.seq;
      const connection = this.history.connections.at(-1);
      if (connection) connection.ready = { ...ready, at: Date.now(), position };
      this.history.start ??= ready.seq;
    });
    feed.on('status', ({ state }) => {
      const connection = this.history.connections.at(-1);
      if (connection?.ready && connection.closedAt === undefined && state !== 'live') {
        connection.closedAt = Date.now();
        connection.reason = state;
      }
    });
  }

  /** The package does not tell of connections that came to nothing; one counts from its greeting or its first event. */
  #opened(): void {
    const last = this.history.connections.at(-1);
    if (last && last.closedAt === undefined && !last.ready) return;
    if (last) this.#options.recorder.reconnects += 1;
    if (last) last.closedAt ??= Date.now();
    this.history.connections.push({
      openedAt: Date.now(),
      after: this.seq,
      ready: undefined,
      closedAt: undefined,
      reason: undefined,
      tokenEndsAt: undefined,
    });
  }

  #event(name: FeedEventName, data: FeedEvents[FeedEventName], at: Position): void {
    const { recorder } = this.#options;
    const last = this.history.connections.at(-1);
    if (!last || last.closedAt !== undefined) this.#opened();
    this.#heard.event(name, data, at);
    const gone = goneId(name, data);
    if (isPost(data)) {
      const { id, votes, replies = 0, rev } = data;
      recorder.tally({ post_id: id, votes, replies, rev }, this.history.client);
      if (this.#feed && !this.#tracked.has(id)) this.#tracked.set(id, this.#feed.track(id));
      // Its tally may have come before the post itself, and is told once.
      const newest = [{ votes, rev }, this.history.tallies.get(id), this.#feed?.tally(id)]
        .filter((tally) => tally !== undefined)
        .reduce((a, b) => (b.rev > a.rev ? b : a));
      this.history.tallies.set(id, { votes: newest.votes, rev: newest.rev });
    } else if (gone !== undefined) {
      this.#tracked.get(gone)?.();
      this.#tracked.delete(gone);
      this.history.tallies.delete(gone);
    }
  }
}
