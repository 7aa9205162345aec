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
  SessionCloseCode,
  Tally,
  TallyMode,
} from '../contract.ts';
import { Emitter } from '../emitter.ts';
import { postEvent } from '../event-names.ts';
import { tellsPost } from '../post-events.ts';
import type { Session, SessionChange } from '../session.ts';
import { TidingsError } from '../tidings-error.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { Connection, type ConnectionEnd, type Told } from './connection.ts';
import { FeedReader } from './reader.ts';
import type { FeedStatus, FeedTrouble } from './status.ts';
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

/** The server is heard every two seconds: two beacons have not come, and the next is late. Milliseconds. */
const SILENCE = 5000;
/** A connection that has held so long was a good one: the next trouble begins with a short wait again. Milliseconds. */
const STEADY = 5000;
/** Jitter: when all clients must request tallies at once, each waits for a random delay up to this. Milliseconds. */
const INCOMPLETE_DELAY = 5000;
/** A refusal of these kinds does not pass at once. Milliseconds. */
const LONG_WAIT = 5000;

/**
 * The live feed: every event after a position, exactly once, in order, over any number of connections and nodes. Each
 * message says in `prev` after which position it follows. If that is beyond the feed's own, a message was lost on the
 * way; then the connection is given up and the next one asks for what is missing, so a hole is never shown.
 */
export class Feed {
  readonly #url: string;
  readonly #session: Session;
  readonly #options: FeedOptions;
  readonly #emitter = new Emitter<FeedListeners>();
  readonly #backoff: Backoff;
  readonly #tallies = new TallyBook();
  readonly #tracker: Tracker;
  readonly #subscriptions: Subscriptions;
  readonly #readers = new Set<FeedReader>();
  readonly #release: (() => void)[];
  #mode: FeedMode;
  #seq: number | undefined;
  #epoch: string | undefined;
  #head = 0;
  #connection: Connection | undefined;
  /** The mode that was sent to the server on this connection. */
  #toldMode: FeedMode = 'live';
  #timer: ReturnType<typeof setTimeout> | undefined;
  #incomplete: ReturnType<typeof setTimeout> | undefined;
  #steady: ReturnType<typeof setTimeout> | undefined;
  #status: FeedStatus = { state: 'connecting' };
  #lastReady: Ready | undefined;
  /** Why it has ended, if somebody has to do something about it. */
  #failure: TidingsError | undefined;
  /** While it turns out whether the session outlives its connection: why that ended. */
  #closedBy: SessionEndCode | undefined;
  /** Until the server has answered that the feed is live again: what lies in between is not wanted. */
  #skipping = false;

  constructor(url: string, session: Session, options: FeedOptions) {
    this.#url = url;
    this.#session = session;
    this.#options = options;
    this.#mode = options.mode ?? 'live';
    this.#seq = options.after;
    this.#epoch = options.epoch;
    this.#backoff = new Backoff(options.reconnect);
    this.#tracker = new Tracker({
      onTallies: (tallies) => this.#keep(tallies),
      onRefused: (error) => this.#emitter.emit('refused', error),
    });
    this.#subscriptions = new Subscriptions({
      topics: options.topics,
      position: () => (this.#seq === undefined ? undefined : { seq: this.#seq, epoch: this.#epoch }),
      onMoved: (seq) => this.#moveTo(seq),
      onRefused: (error) => this.#emitter.emit('refused', error),
    });
    this.#release = [
      session.keepFresh(),
      session.onChange((change) => this.#onSession(change)),
      onNetworkBack(() => {
        if (this.#status.state === 'offline') this.#connectIn(Math.random() * 500);
      }),
    ];
    this.#connect();
  }

  get status(): FeedStatus {
    return this.#status;
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
  subscribe(topics: string | readonly string[], options: SubscribeOptions = {}): Subscription {
    const list = [topics].flat();
    if (this.#status.state === 'ended') throw new TidingsError('aborted', 'The feed has ended.');
    return this.#subscriptions.add([...new Set(list)], options);
  }

  /** Ends topics, of the feed's options and of all subscriptions. */
  unsubscribe(topics: string | readonly string[]): void {
    this.#subscriptions.drop([topics].flat());
  }

  /** Whether every event about the user alone after a position has been handed on. */
  reachesBackTo(seq: number): boolean {
    return this.#subscriptions.reachBackTo(seq);
  }

  /** The newest tally known of a post. */
  tally(postId: number): Tally | undefined {
    return this.#tallies.get(postId);
  }

  /**
   * @returns removes the listener
   */
  on<K extends keyof FeedListeners>(name: K, listener: FeedListeners[K]): () => void {
    return this.#emitter.on(name, listener);
  }

  /** The first `ready`, or the next if it has been live before. @throws {TidingsError} if the feed ends first */
  ready(): Promise<Ready> {
    if (this.#status.state === 'live' && this.#lastReady) return Promise.resolve(this.#lastReady);
    return new Promise((resolve, reject) => {
      const ended = () => {
        if (this.#status.state !== 'ended') return false;
        reject(this.#failure ?? new TidingsError('aborted', `The feed has ended: ${this.#status.reason}.`));
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
  }

  /**
   * Follows the tally of a post: its current value, and every change. Several listeners may follow the same post.
   * @returns ends that
   */
  track(postId: number, listener?: (tally: Tally) => void): () => void {
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
  }

  /**
   * Changes what is heard. Back in `live` the events since are handed on first, in order, unless `skip` says that they
   * are not wanted.
   */
  async setMode(mode: FeedMode, { skip = false }: { skip?: boolean } = {}): Promise<void> {
    this.#mode = mode;
    if (this.#status.state === 'live') await this.#tellMode(skip);
    // The next `ready` says where now is.
    else if (skip && mode === 'live') this.#seq = undefined;
  }

  /**
   * Tries to connect now, before `retryAt`. Where no attempt is being waited for (it is connected, or an attempt is in
   * progress) there is nothing to do.
   */
  reconnect(): void {
    if (this.#timer === undefined || this.#status.state === 'ended') return;
    this.#backoff.reset();
    if (this.#status.state === 'offline') this.#setStatus({ ...this.#status, retryAt: Date.now() });
    this.#connect();
  }

  /** Ends the feed. Iterators finish with what they have. */
  close(): void {
    this.#end('closed');
  }

  /** Everything from now on: `for await (const event of feed)`. Leaving the loop does not close the feed. */
  [Symbol.asyncIterator](): FeedReader {
    const reader = new FeedReader(() => this.#readers.delete(reader));
    if (this.#failure) reader.fail(this.#failure);
    else if (this.#status.state === 'ended') reader.end();
    else this.#readers.add(reader);
    return reader;
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drop();
    const connection = new Connection({
      url: this.#url,
      transports: this.#options.transports ?? ['websocket', 'polling'],
      silence: this.#options.silence ?? SILENCE,
      auth: () => this.#auth(),
      onConnected: () => {
        if (this.#status.state === 'offline') this.#setStatus({ state: 'catching-up' });
        this.#tracker.use(connection);
        // The session may have another token since the handshake was said.
        void this.#renewOn(connection);
      },
      onEnd: (end) => {
        const { token } = connection;
        this.#drop();
        this.#onEnd(end, token);
      },
      hears: {
        ready: (state) => this.#onReady(state),
        votes: (tallies, more) => {
          this.#keep(tallies);
          if (more?.incomplete) this.#onIncomplete();
        },
        'feed:head': (head) => this.#onHead(head),
        'feed:count': ({ seq }) => this.#onCount(seq),
        'session:expiring': () => {
          // Renewed only if it is due by our own reckoning too: the server says this of a short token at once.
          this.#session.accessToken().catch(() => undefined);
        },
        // The connection takes this one for its end.
        'session:closed': () => undefined,
      },
      onEvent: (name, data, at) => this.#onEvent({ seq: at.seq, name, data } as LiveEvent, at),
    });
    connection.expectBeat(this.#mode !== 'off');
    this.#connection = connection;
  }

  async #auth(): Promise<HandshakeAuth> {
    const token = await this.#session.accessToken();
    this.#toldMode = this.#mode;
    const topics = this.#subscriptions.handshake();
    return {
      token,
      ...(topics === undefined ? {} : { topics }),
      feed: this.#mode,
      tallies: this.#options.tallies ?? 'all',
      ...(this.#seq === undefined ? {} : { after: this.#seq }),
      ...(this.#seq === undefined || this.#epoch === undefined ? {} : { epoch: this.#epoch }),
    };
  }

  #onReady(state: Ready): void {
    // A service of before the protocol had a version does not say it.
    const protocol = (state as Partial<Ready>).protocol ?? PROTOCOL;
    if (protocol !== PROTOCOL) {
      this.#failure = new TidingsError(
        'unsupported',
        `The service speaks version ${protocol} of the feed's protocol, and this client version ${PROTOCOL}. Update the client.`,
      );
      this.#end('unsupported');
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
    }
    this.#seq ??= state.seq;
    this.#epoch = state.epoch;
    if (this.#toldMode === 'live' && state.seq !== this.#seq) {
      this.#repair();
      return;
    }
    clearTimeout(this.#steady);
    this.#steady = setTimeout(() => this.#backoff.reset(), STEADY);
    this.#lastReady = state;
    // The handshake said the mode of its time, which may be another one than when the connection was begun.
    this.#connection?.expectBeat(this.#mode !== 'off');
    this.#setStatus({ state: 'live' });
    this.#subscriptions.use(this.#connection);
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
      this.#repair();
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
    if (prev > this.#seq) this.#repair();
    else this.#seq = seq;
  }

  #onCount(seq: number): void {
    this.#head = Math.max(this.#head, seq);
    if (this.#status.state === 'live' && this.#mode === 'count') this.#tellCount();
  }

  #tellCount(): void {
    this.#emitter.emit('count', { behind: this.behind, seq: this.#head });
  }

  async #tellMode(skip: boolean): Promise<void> {
    const connection = this.#connection;
    if (!connection) return;
    const mode = this.#mode;
    connection.expectBeat(mode !== 'off');
    // Until the answer, what comes belongs to neither mode.
    this.#toldMode = mode === 'live' ? 'off' : mode;
    this.#skipping = skip && mode === 'live';
    let seq: number;
    try {
      ({ seq } = await connection.ask('feed:mode', { mode }));
    } catch (error) {
      if (!(error instanceof TidingsError)) throw error;
      // With its connection lost, the next handshake says the mode.
      if (connection !== this.#connection || error.status === 0) return;
      throw error;
    } finally {
      this.#skipping = false;
    }
    if (connection !== this.#connection || mode !== this.#mode) return;
    this.#toldMode = mode;
    this.#head = Math.max(this.#head, seq);
    if (mode !== 'live' || this.#seq === undefined) return;
    if (skip) this.#seq = Math.max(this.#seq, seq);
    else if (seq > this.#seq) this.#comeBack('gap', 0);
  }

  #keep(tallies: readonly Tally[]): void {
    for (const tally of tallies) if (this.#tallies.keep(tally)) this.#emitter.emit('tally', tally);
  }

  #onIncomplete(): void {
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

  /** A message was lost on the way. */
  #repair(): void {
    this.#comeBack('gap', 0);
  }

  #onSession({ loggedIn, reason }: SessionChange): void {
    if (!loggedIn) {
      this.#end(reason === 'logged-out' ? 'logged-out' : (this.#closedBy ?? 'expired'));
      return;
    }
    const connection = this.#connection;
    if (connection?.connected) void this.#renewOn(connection);
  }

  /**
   * Sends the session's new token over the connection. If it is not accepted (another user's, for example), a new
   * connection is opened.
   */
  async #renewOn(connection: Connection): Promise<void> {
    try {
      const token = await this.#session.accessToken();
      if (token === connection.token || connection !== this.#connection) return;
      connection.token = token;
      await connection.ask('auth:renew', { token });
    } catch {
      if (connection === this.#connection) this.#comeBack('network', 0);
    }
  }

  #onEnd(end: ConnectionEnd, token: string): void {
    switch (end.kind) {
      case 'lost':
        this.#comeBack(end.detail === 'silence' ? 'silence' : 'network', 0);
        break;
      case 'refused':
        if (end.problem.status === 401) void this.#renewAndComeBack('expired', token);
        else this.#comeBack('refused', Math.max(LONG_WAIT, (end.problem.retry_after ?? 0) * 1000));
        break;
      case 'no-token':
        if (this.#session.loggedIn) this.#comeBack('network', 0);
        else this.#end(end.error.code === 'logged_out' ? 'logged-out' : (this.#closedBy ?? 'expired'));
        break;
      case 'closed':
        if (end.code === 'revoked' || end.code === 'suspended' || end.code === 'expired')
          void this.#renewAndComeBack(end.code, token);
        else this.#comeBack(end.code, holdOff.has(end.code) ? LONG_WAIT : 0);
    }
  }

  /** The token is no good any more. Perhaps the session is: then there is another token to come back with. */
  async #renewAndComeBack(code: SessionEndCode, token: string): Promise<void> {
    this.#closedBy = code;
    if (this.#status.state === 'live') this.#setStatus({ state: 'catching-up', reason: code });
    try {
      await this.#session.renew(token);
    } catch (error) {
      if (!this.#session.loggedIn) {
        this.#end(error instanceof TidingsError && error.code === 'suspended' ? 'suspended' : code);
        return;
      }
    }
    this.#closedBy = undefined;
    this.#comeBack(code, 0);
  }

  /** Gives the connection up, and makes another one a little later with the position. */
  #comeBack(reason: FeedTrouble, atLeast: number): void {
    if (this.#status.state === 'ended') return;
    this.#drop();
    const wait = reason === 'gap' ? this.#backoff.next() / 5 : this.#backoff.next(atLeast);
    const wasThere = this.#status.state === 'live' || this.#status.state === 'catching-up';
    this.#setStatus(
      wasThere && transient.has(reason)
        ? { state: 'catching-up', reason }
        : { state: 'offline', reason, retryAt: Date.now() + wait },
    );
    this.#connectIn(wait);
  }

  #connectIn(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #drop(): void {
    clearTimeout(this.#steady);
    this.#connection?.close();
    this.#connection = undefined;
    this.#tracker.use(undefined);
    this.#subscriptions.use(undefined);
  }

  #setStatus(status: FeedStatus): void {
    if (this.#status.state === 'ended') return;
    const same = this.#status.state === status.state && status.state !== 'offline';
    this.#status = status;
    if (!same) this.#emitter.emit('status', status);
  }

  #end(reason: Extract<FeedStatus, { state: 'ended' }>['reason']): void {
    if (this.#status.state === 'ended') return;
    clearTimeout(this.#timer);
    clearTimeout(this.#incomplete);
    this.#drop();
    for (const release of this.#release) release();
    this.#setStatus({ state: 'ended', reason });
    this.#subscriptions.close();
    for (const reader of this.#readers)
      if (this.#failure) reader.fail(this.#failure);
      else reader.end();
    this.#readers.clear();
  }
}

/** Why the session of a connection has ended. */
type SessionEndCode = Extract<SessionCloseCode, 'revoked' | 'suspended' | 'expired'>;

/** Errors after which the feed reconnects at once, without showing the user as offline. */
const transient = new Set<FeedTrouble>([
  'gap',
  'draining',
  'slow_consumer',
  'reset',
  'expired',
  'revoked',
  'suspended',
]);
/** What the server closes a connection for that has misbehaved. */
const holdOff = new Set<SessionCloseCode>(['flooding']);

function tallyOf(post: PostView): Tally {
  return { post_id: post.id, votes: post.votes, replies: post.replies ?? 0, rev: post.rev };
}

/** Browsers say when the network is there again; elsewhere nobody does. @returns removes the listener */
function onNetworkBack(listener: () => void): () => void {
  const target = globalThis as Partial<Record<'addEventListener' | 'removeEventListener', Listen>>;
  target.addEventListener?.('online', listener);
  return () => target.removeEventListener?.('online', listener);
}

type Listen = (name: 'online', listener: () => void) => void;
