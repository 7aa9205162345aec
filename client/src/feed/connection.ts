import { io, type Socket } from 'socket.io-client';
import type {
  ClientToServer,
  FeedEventName,
  FeedEvents,
  HandshakeAuth,
  Position,
  Problem,
  ServerToClient,
  SessionCloseCode,
} from '../contract.ts';
import { isProblem, readProblem, TidingsError } from '../tidings-error.ts';

type Requests = {
  [N in keyof ClientToServer]: ClientToServer[N] extends (
    request: infer R,
    ack: (answer: infer A) => void,
  ) => void
    ? { request: R; data: Extract<A, { ok: true }> extends { data: infer D } ? D : never; answer: A }
    : never;
};

/** How a connection ended. Reported once. */
export type ConnectionEnd =
  | { kind: 'refused'; problem: Problem }
  | { kind: 'closed'; code: SessionCloseCode; detail: string }
  | { kind: 'lost'; detail: string }
  /** It never came about, since there was no token for it. */
  | { kind: 'no-token'; error: TidingsError };

/** Where a message stands; without `prev` if the service is of a version before it. */
export type Told = Pick<Position, 'seq'> & Partial<Position>;

export interface ConnectionOptions {
  /** The service's base URL. */
  url: string;
  /** Whether cookies go along to another origin. */
  withCredentials: boolean;
  transports: readonly ('websocket' | 'polling')[];
  /** What the handshake says: asked when the transport is open, so that token and position are the newest. */
  auth: () => Promise<HandshakeAuth>;
  hears: Omit<ServerToClient, FeedEventName>;
  /** Whatever else has a position is an event of the log, also one of a newer service that this client does not know. */
  onEvent: (name: FeedEventName, data: FeedEvents[FeedEventName], at: Told) => void;
  onConnected: () => void;
  onEnd: (end: ConnectionEnd) => void;
  /** How long it may be silent while `expectBeat` is on. Milliseconds. */
  silence: number;
}

/** From the first byte to the answer of the handshake. Milliseconds. */
const CONNECT_TIMEOUT = 10_000;
/** For an answer to a request. Milliseconds. */
const ANSWER_TIMEOUT = 10_000;
/** A timer that fires so late was held up by this process, not by the server. Milliseconds. */
const LATE = 500;
/** What is then granted for the messages that have been waiting as well. Milliseconds. */
const MERCY = 1500;

/**
 * One connection, from its handshake to its end. It never reconnects: a new one is created instead, so late messages of
 * an old one cannot be mistaken for new ones.
 */
export class Connection {
  readonly #socket: Socket<ServerToClient, ClientToServer>;
  readonly #options: ConnectionOptions;
  /** The token that the server knows this connection by. */
  token = '';
  #open = true;
  #heardAt = Date.now();
  #beating = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Give up the requests that have no answer yet. */
  readonly #asked = new Set<() => void>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { origin, path } = addressOf(options.url);
    this.#socket = io(origin, {
      path,
      forceNew: true,
      reconnection: false,
      withCredentials: options.withCredentials,
      transports: [...options.transports],
      tryAllTransports: true,
      timeout: CONNECT_TIMEOUT,
      auth: (say) => void this.#authenticate(say),
    });
    this.#socket.onAny((name: string, ...args: unknown[]) => this.#hear(name, args));
    this.#socket.on('connect', () => {
      if (!this.#open) return;
      clearTimeout(this.#timer);
      this.#heardAt = Date.now();
      if (this.#beating) this.#watch(options.silence);
      options.onConnected();
    });
    this.#socket.on('connect_error', (error: Error & { data?: unknown; context?: unknown }) => {
      const problem = isProblem(error.data) ? error.data : crowdedAnswer(error.context);
      this.#end(problem ? { kind: 'refused', problem } : { kind: 'lost', detail: error.message });
    });
    this.#socket.on('disconnect', (reason) => this.#end({ kind: 'lost', detail: reason }));
    // Socket.IO listens for the end of a transport only once it has opened: a node that dies during the handshake would
    // be waited for until the time is over. After what has come before the end has been heard.
    this.#socket.io.engine.on('close', (reason) => {
      setTimeout(() => this.#end({ kind: 'lost', detail: reason }), 0);
    });
    this.#timer = setTimeout(() => this.#end({ kind: 'lost', detail: 'handshake timeout' }), CONNECT_TIMEOUT);
  }

  get connected(): boolean {
    return this.#open && this.#socket.connected;
  }

  /** Whether the server is to be heard every few seconds: in mode `off` it has nothing to say. */
  expectBeat(beating: boolean): void {
    if (this.#beating === beating) return;
    this.#beating = beating;
    if (!this.connected) return;
    clearTimeout(this.#timer);
    this.#heardAt = Date.now();
    if (beating) this.#watch(this.#options.silence);
  }

  /**
   * Asks something. Socket.IO may keep a request back, and would wait for its answer beyond the end of the connection.
   * @param onAnswer called with the answer before anything that the server has sent after it
   * @throws {TidingsError} a refusal, or `network`: the connection has ended before the answer, or that does not come
   */
  ask<N extends keyof ClientToServer>(
    name: N,
    request: Requests[N]['request'],
    onAnswer?: (data: Requests[N]['data']) => void,
  ): Promise<Requests[N]['data']> {
    type Answer = { ok: true; data: Requests[N]['data'] } | { ok: false; error: Problem };
    // The map of requests says what belongs together; the socket's own types do not follow a name that is a parameter.
    const emitter = this.#socket as unknown as {
      emit(name: string, request: unknown, hear: (answer: Answer) => void): void;
    };
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        return this.#asked.delete(giveUp);
      };
      const giveUp = () => {
        settle();
        reject(new TidingsError('network', 'The connection ended before the answer.'));
      };
      const timer = setTimeout(giveUp, ANSWER_TIMEOUT);
      if (!this.#open) {
        giveUp();
        return;
      }
      this.#asked.add(giveUp);
      emitter.emit(name, request, (answer) => {
        if (!settle()) return;
        if (!answer.ok) reject(TidingsError.fromProblem(answer.error));
        else {
          onAnswer?.(answer.data);
          resolve(answer.data);
        }
      });
    });
  }

  /** Ends it without a word to `onEnd`. */
  close(): void {
    this.#open = false;
    clearTimeout(this.#timer);
    this.#socket.disconnect();
    for (const giveUp of [...this.#asked]) giveUp();
  }

  #end(end: ConnectionEnd): void {
    if (!this.#open) return;
    this.close();
    this.#options.onEnd(end);
  }

  async #authenticate(say: (auth: object) => void): Promise<void> {
    try {
      const auth = await this.#options.auth();
      this.token = auth.token;
      if (this.#open) say(auth);
    } catch (error) {
      const known =
        error instanceof TidingsError
          ? error
          : new TidingsError('unexpected', 'There is no token for the connection.', { cause: error });
      this.#end({ kind: 'no-token', error: known });
    }
  }

  #hear(name: string, args: unknown[]): void {
    if (!this.#open) return;
    this.#heardAt = Date.now();
    if (name === 'session:closed') {
      const [{ code, detail }] = args as Parameters<ServerToClient['session:closed']>;
      this.#end({ kind: 'closed', code, detail });
    } else if (Object.hasOwn(this.#options.hears, name)) {
      const hear = this.#options.hears[name as keyof ConnectionOptions['hears']] as (
        ...args: unknown[]
      ) => void;
      hear(...args);
    } else if (isTold(args[1])) {
      this.#options.onEvent(name as FeedEventName, args[0] as FeedEvents[FeedEventName], args[1]);
    }
  }

  #watch(wait: number): void {
    const due = Date.now() + wait;
    this.#timer = setTimeout(() => {
      const now = Date.now();
      const silent = now - this.#heardAt;
      if (silent < this.#options.silence) this.#watch(this.#options.silence - silent);
      else if (now - due > LATE) this.#watch(MERCY);
      else this.#end({ kind: 'lost', detail: 'silence' });
    }, wait);
  }
}

function isTold(position: unknown): position is Told {
  return typeof position === 'object' && position !== null && 'seq' in position;
}

/**
 * The 429 that a polling request was answered with: an address at its connection limit is refused before there is a
 * socket. Browsers do not report why a WebSocket was refused; polling is tried after it. Any other answer may be
 * another node's or a proxy's, and be right a moment later.
 * @param context the request, as Engine.IO hands it on
 */
function crowdedAnswer(context: unknown): Problem | undefined {
  if (typeof context !== 'object' || context === null || !('responseText' in context)) return undefined;
  const problem = readProblem(String(context.responseText));
  return problem?.status === 429 ? problem : undefined;
}

/** Socket.IO takes a path in the URL for a namespace: a service behind a prefix must be named by `path`. */
function addressOf(url: string): { origin: string; path: string } {
  const { origin, pathname } = new URL(url);
  return { origin, path: `${pathname.replace(/\/+$/, '')}/socket.io/` };
}
