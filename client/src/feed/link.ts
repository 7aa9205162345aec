import type { HandshakeAuth, Problem, SessionCloseCode } from '../contract.ts';
import type { Session, SessionChange } from '../session.ts';
import { TidingsError } from '../tidings-error.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { Connection, type ConnectionEnd, type ConnectionOptions } from './connection.ts';
import type { FeedEnd, FeedStatus, FeedTrouble } from './status.ts';

export interface LinkOptions extends Pick<ConnectionOptions, 'url' | 'withCredentials' | 'onEvent'> {
  session: Session;
  transports: ConnectionOptions['transports'] | undefined;
  reconnect: BackoffOptions | undefined;
  silence: number | undefined;
  /** What the handshake says beside the token. */
  handshake: () => Omit<HandshakeAuth, 'token'>;
  /** What the handshake said was refused. @returns whether the next one says less */
  narrow: () => boolean;
  /** Whether the server has something to say every few seconds. */
  beats: () => boolean;
  /** Without what the server says of the session, which is not the feed's concern. */
  hears: Omit<ConnectionOptions['hears'], 'session:expiring' | 'session:closed'>;
  /** There is a connection over which to ask, or none any more. */
  onConnection: (connection: Connection | undefined) => void;
  onStatus: (status: FeedStatus) => void;
}

/** The server is heard every two seconds: two beacons have not come, and the next is late. Milliseconds. */
const SILENCE = 5000;
/** A connection that has held so long was a good one: the next trouble begins with a short wait again. Milliseconds. */
const STEADY = 5000;
/** A refusal of these kinds does not pass at once. Milliseconds. */
const LONG_WAIT = 5000;

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

/**
 * Keeps a feed connected for as long as its session lasts: opens one connection after the other, waits after trouble, and
 * tells the server each new token. What comes over the connections is the feed's.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #session: Session;
  readonly #backoff: Backoff;
  readonly #release: (() => void)[];
  #connection: Connection | undefined;
  #status: FeedStatus = { state: 'connecting' };
  #failure: TidingsError | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #steady: ReturnType<typeof setTimeout> | undefined;
  /** While it turns out whether the session outlives its connection: why that ended. */
  #closedBy: SessionEndCode | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#session = options.session;
    this.#backoff = new Backoff(options.reconnect);
    this.#release = [
      this.#session.keepFresh(),
      this.#session.onChange((change) => this.#onSession(change)),
      onNetworkBack(() => {
        if (this.#status.state === 'offline') this.#connectIn(Math.random() * 500);
      }),
    ];
    this.#connect();
  }

  get status(): FeedStatus {
    return this.#status;
  }

  /** Why it has ended, if somebody has to do something about it. */
  get failure(): TidingsError | undefined {
    return this.#failure;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** What was missed has come over this connection. */
  caughtUp(): void {
    clearTimeout(this.#steady);
    this.#steady = setTimeout(() => this.#backoff.reset(), STEADY);
    // The handshake said the mode of its time, which may be another one than when the connection was begun.
    this.#connection?.expectBeat(this.#options.beats());
    this.#setStatus({ state: 'live' });
  }

  /** A message was lost on the way: gives the connection up, and asks over another one for what is missing. */
  repair(): void {
    this.#comeBack('gap', 0);
  }

  /** Tries to connect now, where an attempt is being waited for. */
  reconnect(): void {
    if (this.#timer === undefined || this.#status.state === 'ended') return;
    this.#backoff.reset();
    this.#connect();
    if (this.#status.state === 'offline') this.#setStatus({ ...this.#status, retryAt: Date.now() });
  }

  end(reason: FeedEnd, failure?: TidingsError): void {
    if (this.#status.state === 'ended') return;
    this.#failure = failure;
    clearTimeout(this.#timer);
    this.#drop();
    for (const release of this.#release) release();
    const problem = failure?.problem;
    this.#setStatus({ state: 'ended', reason, ...(problem && { problem }) });
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drop();
    const { url, withCredentials, transports, silence, hears, handshake, beats, onEvent } = this.#options;
    const connection = new Connection({
      url,
      withCredentials,
      transports: transports ?? ['websocket', 'polling'],
      silence: silence ?? SILENCE,
      // The handshake says the position as it is when the token is there.
      auth: async () => ({ token: await this.#session.accessToken(), ...handshake() }),
      onConnected: () => {
        this.#options.onConnection(connection);
        // The session may have another token since the handshake was said.
        void this.#renewOn(connection);
        if (this.#status.state === 'offline') this.#setStatus({ state: 'catching-up' });
      },
      onEnd: (end) => {
        const { token } = connection;
        this.#drop();
        this.#onEnd(end, token);
      },
      hears: {
        ...hears,
        'session:expiring': () => {
          // Renewed only if it is due by our own reckoning too: the server says this of a short token at once.
          this.#session.accessToken().catch(() => undefined);
        },
        // The connection takes this one for its end.
        'session:closed': () => undefined,
      },
      onEvent,
    });
    connection.expectBeat(beats());
    this.#connection = connection;
  }

  #onSession({ loggedIn, reason }: SessionChange): void {
    if (!loggedIn) {
      this.end(reason === 'ended' ? (this.#closedBy ?? 'expired') : 'logged-out');
      return;
    }
    const connection = this.#connection;
    if (connection?.connected) void this.#renewOn(connection);
  }

  /**
   * Sends the session's new token over the connection. If it is not accepted, a new connection is opened.
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
        this.#onRefused(end.problem, token);
        break;
      case 'no-token':
        if (this.#session.loggedIn) this.#comeBack('network', 0);
        else this.end(end.error.code === 'logged_out' ? 'logged-out' : (this.#closedBy ?? 'expired'));
        break;
      case 'closed':
        if (end.code === 'revoked' || end.code === 'suspended' || end.code === 'expired')
          void this.#renewAndComeBack(end.code, token);
        else this.#comeBack(end.code, holdOff.has(end.code) ? LONG_WAIT : 0);
    }
  }

  #onRefused(problem: Problem, token: string): void {
    const error = TidingsError.fromProblem(problem);
    if (error.status === 401) void this.#renewAndComeBack('expired', token);
    else if (error.temporary || error.status >= 500)
      this.#comeBack('refused', Math.max(LONG_WAIT, (error.retryAfter ?? 0) * 1000), problem);
    // What was said is wrong, and would be refused again.
    else if (this.#options.narrow()) this.#connectIn(this.#backoff.next() / 5);
    else this.end('refused', error);
  }

  /** The token is no good any more. Perhaps the session is: then there is another token to come back with. */
  async #renewAndComeBack(code: SessionEndCode, token: string): Promise<void> {
    this.#closedBy = code;
    if (this.#status.state === 'live') this.#setStatus({ state: 'catching-up', reason: code });
    if (this.#status.state === 'ended') return;
    try {
      await this.#session.renew(token);
    } catch (error) {
      if (!this.#session.loggedIn) {
        this.end(error instanceof TidingsError && error.code === 'suspended' ? 'suspended' : code);
        return;
      }
    }
    this.#closedBy = undefined;
    this.#comeBack(code, 0);
  }

  /** Gives the connection up, and makes another one a little later with the position. */
  #comeBack(reason: FeedTrouble, atLeast: number, problem?: Problem): void {
    if (this.#status.state === 'ended') return;
    this.#drop();
    const wait = reason === 'gap' ? this.#backoff.next() / 5 : this.#backoff.next(atLeast);
    this.#connectIn(wait);
    const wasThere = this.#status.state === 'live' || this.#status.state === 'catching-up';
    this.#setStatus(
      wasThere && transient.has(reason)
        ? { state: 'catching-up', reason }
        : { state: 'offline', reason, retryAt: Date.now() + wait, ...(problem && { problem }) },
    );
  }

  #connectIn(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #drop(): void {
    clearTimeout(this.#steady);
    this.#connection?.close();
    this.#connection = undefined;
    this.#options.onConnection(undefined);
  }

  /** Comes last in what is done: a listener may end the link, or have it connect now. */
  #setStatus(status: FeedStatus): void {
    if (this.#status.state === 'ended') return;
    const same = this.#status.state === status.state && status.state !== 'offline';
    this.#status = status;
    if (!same) this.#options.onStatus(status);
  }
}

/** Browsers say when the network is there again; elsewhere nobody does. @returns removes the listener */
function onNetworkBack(listener: () => void): () => void {
  const target = globalThis as Partial<Record<'addEventListener' | 'removeEventListener', Listen>>;
  target.addEventListener?.('online', listener);
  return () => target.removeEventListener?.('online', listener);
}

type Listen = (name: 'online', listener: () => void) => void;
