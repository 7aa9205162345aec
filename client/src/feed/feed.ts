import type {
  FeedEventName,
  FeedMode,
  FeedPosition,
  FeedReset,
  HandshakeAuth,
  LiveEvent,
  PostView,
  Ready,
  ServerToClient,
  Tally,
  TallyMode,
} from '../contract.ts';
import { delay } from '../delay.ts';
import { Emitter } from '../emitter.ts';
import { postEvent } from '../event-names.ts';
import { tellsPost } from '../post-events.ts';
import type { Session } from '../session.ts';
import { TidingsError } from '../tidings-error.ts';
import type { BackoffOptions } from './backoff.ts';
import type { Connection, Told } from './connection.ts';
import { Link } from './link.ts';
import { FeedReader } from './reader.ts';
import type { FeedStatus } from './status.ts';
import type { SubscribeOptions, Subscription } from './subscription.ts';
import { Subscriptions } from './subscriptions.ts';
import { TallyBook } from './tally-book.ts';
import { Tracker } from './tracker.ts';

/** The version of the feed's protocol that is understood here. */
const PROTOCOL = 1;

export interface FeedOptions {
  /**
   * What to receive: any of `feed` (top-level posts), `home`, `author:ID`, `thread:ID` and `tag:NAME`, also none, to
   * subscribe later. Without it, everything public. What concerns the user alone always comes.
   */
  topics?: readonly string[];
  /** The last seq that you have seen, such as `position.seq` of a list; without it, from now on. */
  after?: number;
  /** The epoch that `after` belongs to. */
  epoch?: string;
  /** `live` unless you say otherwise; `count` sends only the number of events, `off` nothing. */
  mode?: FeedMode;
  /** Of which posts to receive tallies: of `all` (the default), of those that are `tracked`, or `none`. */
  tallies?: TallyMode;
  /** WebSocket first, long-polling where it is blocked. */
  transports?: readonly ('websocket' | 'polling')[];
  reconnect?: BackoffOptions;
  /** After so long without a word from the server it is another connection's turn. Milliseconds. */
  silence?: number;
}

export interface FeedListeners extends Pick<ServerToClient, FeedEventName> {
  /** Every event that is for you, in order, once; also of a newer service, with a name that is not known here. */
  event: (event: LiveEvent) => void;
  /** The position could not be served: read the list again. Events continue from `seq`. */
  reset: (reset: FeedReset) => void;
  /** The feed has caught up; once for each connection. */
  ready: (state: Ready) => void;
  status: (status: FeedStatus) => void;
  /** A tally that is newer than the one known. */
  tally: (tally: Tally) => void;
  /** More tallies have changed than are sent one by one: read those that you show again. Said after a random delay. */
  incomplete: () => void;
  /** In mode `count`: how many events lie ahead of the position. */
  count: (news: { behind: number; seq: number }) => void;
  /** The server refused something that was asked in your name: too many posts tracked, say. */
  refused: (error: TidingsError) => void;
}

/** Before a mode that the server did not take is said again. Milliseconds. */
const PAUSE = 1000;
/** Jitter: when all clients must request tallies at once, each waits for a random delay up to this. Milliseconds. */
const INCOMPLETE_DELAY = 5000;

/**
 * The live feed: every event after a position, exactly once, in order, over any number of connections and nodes. Each
 * message says in `prev` after which position it follows. If that is beyond the feed's own, a message was lost on the
 * way; then the connection is given up and the next one asks for what is missing, so a hole is never shown.
 */
export class Feed {
  /** Vue makes no reactive proxy of it, which could not reach its private members. @internal */
  readonly __v_skip = true;
  readonly #options: FeedOptions;
  readonly #link: Link;
  readonly #emitter = new Emitter<FeedListeners>();
  readonly #tallies = new TallyBook();
  readonly #tracker: Tracker;
  readonly #subscriptions: Subscriptions;
  readonly #readers = new Set<FeedReader>();
  #mode: FeedMode;
  #seq: number | undefined;
  #epoch: string | undefined;
  #head = 0;
  /** The mode that was sent to the server on this connection. */
  #toldMode: FeedMode = 'live';
  /** What asks the server for the mode. The next one, and the end of the feed, end its waiting. */
  #modeRequest = new AbortController();
  #incomplete: ReturnType<typeof setTimeout> | undefined;
  #lastReady: Ready | undefined;
  /** Until the server has answered that the feed is live again: what lies in between is not wanted. */
  #skipping = false;

  constructor(url: string, session: Session, options: FeedOptions, withCredentials: boolean) {
    this.#options = options;
    this.#mode = options.mode ?? 'live';
    this.#seq = options.after;
    this.#epoch = options.epoch;
    this.#tracker = new Tracker({
      onTallies: (tallies) => this.#keep(tallies),
      onRefused: (error) => this.#emitter.emit('refused', error),
    });
    this.#subscriptions = new Subscriptions({
      topics: options.topics,
      position: () => (this.#seq === undefined ? undefined : { seq: this.#seq, epoch: this.#epoch }),
      onMoved: (seq) => this.#moveTo(seq),
      onUnanswered: () => this.#link.repair(),
      onRefused: (error) => this.#emitter.emit('refused', error),
    });
    this.#link = new Link({
      url,
      session,
      withCredentials,
      transports: options.transports,
      reconnect: options.reconnect,
      silence: options.silence,
      handshake: () => this.#handshake(),
      narrow: () => this.#subscriptions.narrow(),
      beats: () => this.#mode !== 'off',
      hears: {
        ready: (state) => this.#onReady(state),
        votes: (tallies, more) => {
          this.#keep(tallies);
          if (more?.incomplete) this.#onIncomplete();
        },
        'feed:head': (head) => this.#onHead(head),
        'feed:count': ({ seq }) => this.#onCount(seq),
      },
      onEvent: (name, data, at) => this.#onEvent({ seq: at.seq, name, data } as LiveEvent, at),
      onConnection: (connection) => {
        this.#tracker.use(connection);
        // What is asked beside the handshake is asked once that has been answered.
        if (!connection) this.#subscriptions.use(undefined);
      },
      onStatus: (status) => this.#onStatus(status),
    });
  }

  get status(): FeedStatus {
    return this.#link.status;
  }

  get mode(): FeedMode {
    return this.#mode;
  }

  /** Up to where events have been handed on; undefined before the first `ready` of a feed that starts from now. */
  get position(): FeedPosition | undefined {
    return this.#seq === undefined || this.#epoch === undefined
      ? undefined
      : { seq: this.#seq, epoch: this.#epoch };
  }

  /** Whose feed it is; undefined before it has been live. */
  get userId(): number | undefined {
    return this.#lastReady?.user_id;
  }

  /** How many events are known to lie ahead of the position. */
  get behind(): number {
    return this.#seq === undefined ? 0 : Math.max(0, this.#head - this.#seq);
  }

  /** The topics that are wanted; undefined: everything public. */
  get topics(): readonly string[] | undefined {
    return this.#subscriptions.topics;
  }

  /**
   * Widens a feed that has `topics`, over the same connection and any that follows. What came since `from` is handed to
   * the listeners of the subscription alone, each event once; what comes later is in the feed like everything else.
   * Listen at once: `feed.subscribe('thread:7', { from }).on('event', …)`. Without a topic it has what concerns the user
   * alone, from a position.
   */
  readonly subscribe = (topics: string | readonly string[], options: SubscribeOptions = {}): Subscription => {
    const list = [topics].flat();
    if (this.status.state === 'ended') throw new TidingsError('aborted', 'The feed has ended.');
    return this.#subscriptions.add([...new Set(list)], options);
  };

  /** Ends topics, of the feed's options and of all subscriptions. */
  readonly unsubscribe = (topics: string | readonly string[]): void => {
    this.#subscriptions.drop([topics].flat());
  };

  /** Whether events of a topic may come: it is wanted, or the server has not answered yet that it has ended. @internal */
  readonly hears = (topic: string): boolean => this.#subscriptions.hears(topic);

  /** Whether every event about the user alone after a position has been handed on. */
  readonly reachesBackTo = (seq: number): boolean => this.#subscriptions.reachBackTo(seq);

  /** The newest tally known of a post. */
  readonly tally = (postId: number): Tally | undefined => this.#tallies.get(postId);

  /**
   * @returns removes the listener
   */
  readonly on = <K extends keyof FeedListeners>(name: K, listener: FeedListeners[K]): (() => void) =>
    this.#emitter.on(name, listener);

  /** The first `ready`, or the next if it has been live before. @throws {TidingsError} if the feed ends first */
  readonly ready = (): Promise<Ready> => {
    if (this.status.state === 'live' && this.#lastReady) return Promise.resolve(this.#lastReady);
    return new Promise((resolve, reject) => {
      const ended = () => {
        if (this.status.state !== 'ended') return false;
        reject(
          this.#link.failure ?? new TidingsError('aborted', `The feed has ended: ${this.status.reason}.`),
        );
        return true;
      };
      if (ended()) return;
      const off = [
        this.on('ready', (state) => {
          for (const take of off) take();
          resolve(state);
        }),
        this.on('status', () => {
          if (ended()) for (const take of off) take();
        }),
      ];
    });
  };

  /**
   * Follows the tally of a post: its current value, and every change. Several listeners may follow the same post.
   * @returns ends that
   */
  readonly track = (postId: number, listener?: (tally: Tally) => void): (() => void) => {
    const release = this.#tracker.track(postId);
    const off = listener
      ? this.on('tally', (tally) => {
          if (tally.post_id === postId) listener(tally);
        })
      : undefined;
    const known = this.#tallies.get(postId);
    if (known) listener?.(known);
    return () => {
      off?.();
      release();
    };
  };

  /**
   * Changes what is heard. Back in `live` the events since are handed on first, in order, unless `skip` says that they
   * are not wanted.
   */
  readonly setMode = async (mode: FeedMode, { skip = false }: { skip?: boolean } = {}): Promise<void> => {
    this.#mode = mode;
    if (this.status.state === 'live') await this.#tellMode(skip);
    // The next `ready` says where now is.
    else if (skip && mode === 'live') this.#seq = undefined;
  };

  /**
   * Tries to connect now, before `retryAt`. Where no attempt is being waited for (it is connected, or an attempt is in
   * progress) there is nothing to do.
   */
  readonly reconnect = (): void => {
    this.#link.reconnect();
  };

  /** Ends the feed. Iterators finish with what they have. */
  readonly close = (): void => {
    this.#link.end('closed');
  };

  /** Everything from now on: `for await (const event of feed)`. Leaving the loop does not close the feed. */
  [Symbol.asyncIterator](): FeedReader {
    const reader = new FeedReader(() => this.#readers.delete(reader));
    if (this.status.state === 'ended') this.#finish(reader);
    else this.#readers.add(reader);
    return reader;
  }

  #handshake(): Omit<HandshakeAuth, 'token'> {
    this.#toldMode = this.#mode;
    // The connection was lost before the server had said where now is: the next `ready` says it.
    if (this.#skipping && this.#mode === 'live') this.#seq = undefined;
    this.#skipping = false;
    const topics = this.#subscriptions.handshake();
    return {
      ...(topics === undefined ? {} : { topics }),
      feed: this.#mode,
      tallies: this.#options.tallies ?? 'all',
      ...(this.#seq === undefined ? {} : { after: this.#seq }),
      ...(this.#seq === undefined || this.#epoch === undefined ? {} : { epoch: this.#epoch }),
    };
  }

  #onStatus(status: FeedStatus): void {
    this.#emitter.emit('status', status);
    if (status.state !== 'ended') return;
    clearTimeout(this.#incomplete);
    this.#subscriptions.close();
    for (const reader of this.#readers) this.#finish(reader);
    this.#readers.clear();
    // A listener that has ended the feed may have been told of something that others are about to be told of.
    this.#emitter.clear();
    this.#modeRequest.abort();
  }

  #finish(reader: FeedReader): void {
    if (this.#link.failure) reader.fail(this.#link.failure);
    else reader.end();
  }

  #onReady(state: Ready): void {
    // A service of before the protocol had a version does not say it.
    const protocol = (state as Partial<Ready>).protocol ?? PROTOCOL;
    if (protocol !== PROTOCOL) {
      const detail = `The service speaks version ${protocol} of the feed's protocol, and this client version ${PROTOCOL}. Update the client.`;
      this.#link.end('unsupported', new TidingsError('unsupported', detail));
      return;
    }
    this.#head = state.seq;
    // Without a position nothing is reset, but what is known of the database before is as wrong.
    const renumbered = this.#epoch !== undefined && state.epoch !== this.#epoch;
    if (this.#seq === undefined ? renumbered : state.outcome === 'reset') {
      if (state.epoch !== this.#epoch) {
        this.#tallies.clear();
        // What was asked when it connected may have been answered before, and measured by the revs of the other database.
        this.#tracker.askAgain();
      }
      this.#seq = state.seq;
      this.#epoch = state.epoch;
      this.#tellReset({
        name: 'reset',
        seq: state.seq,
        epoch: state.epoch,
        reason: state.reason ?? (renumbered ? 'epoch_changed' : 'too_old'),
      });
      if (this.status.state === 'ended') return;
    }
    this.#seq ??= state.seq;
    this.#epoch = state.epoch;
    if (this.#toldMode === 'live' && state.seq !== this.#seq) {
      this.#link.repair();
      return;
    }
    this.#lastReady = state;
    this.#link.caughtUp();
    this.#subscriptions.use(this.#link.connection);
    this.#emitter.emit('ready', state);
    if (this.#mode === 'count') this.#tellCount();
    if (this.#mode !== this.#toldMode) void this.#tellMode(false);
  }

  #onEvent(event: LiveEvent, at: Told): void {
    // A service that says no `prev` leaves nothing out: the event before has the number before.
    const { prev = event.seq - 1 } = at;
    // Before the first `ready` of a feed from now on there is no position, and no event is sent.
    if (this.#seq === undefined || event.seq <= this.#seq || this.#mode !== 'live') return;
    if (this.#skipping) this.#seq = Math.max(this.#seq, prev);
    if (prev > this.#seq) {
      this.#link.repair();
      return;
    }
    this.#seq = event.seq;
    this.#head = Math.max(this.#head, event.seq);
    if (tellsPost(event)) this.#keep([tallyOf(event.data)]);
    this.#tell(event, prev);
    if (!tellsPost(event)) return;
    // A tally waits for no number, so a newer one may have come before the post, and it is told once: a post that was
    // withdrawn and published again would be shown with the number of then. Anyone who shows it only now hears it now.
    const known = this.#tallies.get(event.data.id);
    if (known && known.rev > event.data.rev) this.#emitter.emit('tally', known);
  }

  #onHead({ seq, prev = seq }: Told): void {
    if (this.#mode === 'count') {
      this.#onCount(seq);
      return;
    }
    this.#head = Math.max(this.#head, seq);
    if (this.#mode !== 'live' || this.#toldMode !== 'live') return;
    if (this.#seq === undefined || seq <= this.#seq) return;
    // An event was sent before this and has not come; or there is none for this feed up to here.
    if (prev > this.#seq) this.#link.repair();
    else this.#seq = seq;
  }

  #onCount(seq: number): void {
    this.#head = Math.max(this.#head, seq);
    if (this.status.state === 'live' && this.#mode === 'count') this.#tellCount();
  }

  #tellCount(): void {
    this.#emitter.emit('count', { behind: this.behind, seq: this.#head });
  }

  async #tellMode(skip: boolean): Promise<void> {
    const connection = this.#link.connection;
    if (!connection) return;
    const mode = this.#mode;
    connection.expectBeat(mode !== 'off');
    // Until the answer, what comes belongs to neither mode.
    this.#toldMode = mode === 'live' ? 'off' : mode;
    this.#skipping = skip && mode === 'live';
    this.#modeRequest.abort();
    const request = (this.#modeRequest = new AbortController());
    // Another connection has said the mode in its handshake, or another request says another one.
    const isMeant = () => connection === this.#link.connection && request === this.#modeRequest;
    const seq = await this.#askMode(connection, mode, isMeant, request.signal);
    if (!isMeant()) return;
    this.#skipping = false;
    if (seq === undefined) {
      this.#link.repair();
      return;
    }
    this.#toldMode = mode;
    this.#head = Math.max(this.#head, seq);
    if (mode !== 'live' || this.#seq === undefined) return;
    if (skip) this.#seq = Math.max(this.#seq, seq);
    else if (seq > this.#seq) this.#link.repair();
  }

  /** @returns where the new mode begins; undefined if the server has not taken it, which the next handshake is to say */
  async #askMode(
    connection: Connection,
    mode: FeedMode,
    isMeant: () => boolean,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    while (isMeant()) {
      try {
        return (await connection.ask('feed:mode', { mode })).seq;
      } catch (error) {
        if (!(error instanceof TidingsError)) throw error;
        if (error.status === 0 || !error.temporary) return undefined;
        const pause = Math.max(PAUSE, (error.retryAfter ?? 0) * 1000);
        await delay(pause, signal).catch(() => undefined);
      }
    }
    return undefined;
  }

  #keep(tallies: readonly Tally[]): void {
    for (const tally of tallies) if (this.#tallies.keep(tally)) this.#emitter.emit('tally', tally);
  }

  #onIncomplete(): void {
    if (this.status.state === 'ended') return;
    this.#incomplete ??= setTimeout(() => {
      this.#incomplete = undefined;
      this.#tracker.askAgain();
      this.#emitter.emit('incomplete');
    }, Math.random() * INCOMPLETE_DELAY);
  }

  #tellReset(reset: FeedReset): void {
    for (const reader of [...this.#readers]) reader.push(reset);
    this.#emitter.emit('reset', reset);
    this.#subscriptions.reset(reset);
  }

  #tell(item: LiveEvent, prev: number): void {
    for (const reader of [...this.#readers]) reader.push(item);
    if (item.name === postEvent.added) this.#tracker.appeared(item.data.id);
    this.#subscriptions.hear(item);
    this.#emitter.emit('event', item);
    // The data is that of the name, which the compiler does not see of a union.
    this.#emitter.emit(item.name, ...([item.data, { seq: item.seq, prev }] as never));
  }

  /** Everything up to here has come, or is no event of this feed. */
  #moveTo(seq: number): void {
    if (this.#mode !== 'live' || this.#toldMode !== 'live' || this.#seq === undefined) return;
    this.#seq = Math.max(this.#seq, seq);
    this.#head = Math.max(this.#head, seq);
  }
}

function tallyOf(post: PostView): Tally {
  return { post_id: post.id, votes: post.votes, replies: post.replies ?? 0, rev: post.rev };
}
