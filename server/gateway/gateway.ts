import type { Server as HttpServer, IncomingMessage } from 'node:http';
import { Server, type Socket } from 'socket.io';
import type { Connection, Connections } from '../auth/connections.ts';
import type { Identity } from '../auth/identity.ts';
import { AppError, invalid } from '../errors.ts';
import type { ClientToServer, ServerToClient, SessionCloseCode, Tally } from '../events.ts';
import type { Follower } from '../feed/follower.ts';
import { check, type Infer } from '../http/schema.ts';
import type { Metrics } from '../http/metrics.ts';
import type { Logger } from '../logger.ts';
import type { LogEntry } from '../outbox/log.ts';
import { Delivery } from './delivery.ts';
import { encodeMessage } from './encoding.ts';
import { answerRequests, MAX_FAULTS } from './requests.ts';
import { handshakeAuth } from './schemas.ts';
import { type EngineConnection, Subscriber } from './subscriber.ts';

export interface GatewayOptions {
  http: HttpServer;
  log: Logger;
  metrics: Metrics;
  feed: Follower;
  connections: Connections;
  /** Pages of the log for replays that reach further back than memory. */
  readLog: (after: number, limit: number) => Promise<LogEntry[]>;
  /** Tallies that a client at this position may not have heard. */
  missedTallies: (after: number) => Promise<Tally[]>;
  /** Whose token it is. @throws {AppError} 401 */
  verify: (token: string) => Identity;
  /** @throws {AppError} 401 unless the token's session lives */
  requireSession: (identity: Identity) => Promise<void>;
  /** The tallies of those of these posts that the user may see. */
  talliesOf: (userId: number, postIds: readonly number[]) => Promise<Tally[]>;
  /** Origins of browsers that may connect, beside our own; `*` for any. */
  origins: readonly string[];
  maxConnections: number;
  /** Sockets of one user on this node. */
  maxPerUser: number;
  onCodedError: (error: unknown) => AppError | undefined;
  /** Ids of Engine.IO sessions, where they have to say which worker holds the session. */
  newSessionId?: () => string;
}

type Auth = Infer<typeof handshakeAuth>;

/** A frame above this closes the connection. Bytes. */
const MAX_FRAME = 16 * 1024;
/** A connection that has not authenticated by then is closed. Milliseconds. */
const CONNECT_TIMEOUT = 5000;
/** Handshakes that one connection may fail, one after the other. */
const MAX_ATTEMPTS = 3;
/** What a user with too many connections is told to wait for. Seconds. */
const CROWDED_PAUSE = 30;
/** Packets of any kind that one connection may send within a second; far beyond what requests are limited to. */
const MAX_PACKETS = 1000;
/** How long a closed socket may take to read its last words before its TCP connection is ended. Milliseconds. */
const LAST_WORDS = 1000;

/** The Socket.IO side of the service: who may connect, and what becomes of a connection. */
export class Gateway {
  readonly io: Server<ClientToServer, ServerToClient>;
  readonly #options: GatewayOptions;
  readonly #delivery: Delivery;
  readonly #subscribers = new Map<Connection, Subscriber>();
  /** Engine.IO connections that have asked to connect: `Infinity` for one that is or will be, else how often it was refused. */
  readonly #attempts = new WeakMap<object, number>();
  #draining = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.io = new Server(options.http, {
      transports: ['websocket', 'polling'],
      maxHttpBufferSize: MAX_FRAME,
      connectTimeout: CONNECT_TIMEOUT,
      pingInterval: 10_000,
      pingTimeout: 10_000,
      upgradeTimeout: 5000,
      perMessageDeflate: false,
      httpCompression: false,
      cors: options.origins.includes('*')
        ? { origin: '*' }
        : { origin: [...options.origins], credentials: true },
      allowRequest: (req, decide) => {
        const refusal = this.#refuse(req);
        decide(refusal, refusal === undefined);
      },
    });
    if (options.newSessionId) this.io.engine.generateId = options.newSessionId;
    this.#delivery = new Delivery({
      feed: options.feed,
      readLog: options.readLog,
      missedTallies: options.missedTallies,
      metrics: options.metrics,
      log: options.log,
      end: (subscriber, code, detail) => this.#end(subscriber, code, detail),
    });
    options.feed.on('epoch', () => {
      for (const subscriber of [...this.#subscribers.values()]) {
        this.#end(subscriber, 'reset', 'The numbering of the feed has changed. Connect again.');
      }
    });
    // A peer that ignores the closing handshake would hold its TCP connection for another half minute.
    this.io.engine.on('connection', (conn: EngineConnection) => {
      conn.once('close', () => {
        const { transport } = conn;
        setTimeout(() => transport.socket?.terminate?.(), LAST_WORDS).unref();
      });
      this.#countPackets(conn);
    });
    this.io.use((socket, next) => void this.#admit(socket, next));
    this.io.on('connection', (socket) => this.#welcome(socket));
  }

  start(): void {
    this.#delivery.start();
  }

  get size(): number {
    return this.#subscribers.size;
  }

  deliverTallies(tallies: readonly Tally[]): void {
    this.#delivery.deliverTallies(tallies);
  }

  /** No new connection from here on. */
  refuseNew(): void {
    this.#draining = true;
  }

  /** Says `draining` to every client, spread over some time so that they do not all come back at once. Milliseconds. */
  async drain(spread: number): Promise<void> {
    this.refuseNew();
    const all = [...this.#subscribers.values()];
    const began = Date.now();
    for (const [at, subscriber] of all.entries()) {
      const due = began + (spread * at) / all.length;
      const wait = due - Date.now();
      if (wait > 5) await new Promise((resolve) => setTimeout(resolve, wait));
      this.#end(subscriber, 'draining', 'The node is shutting down. Connect again.');
    }
  }

  async close(): Promise<void> {
    this.#delivery.stop();
    for (const subscriber of [...this.#subscribers.values()]) subscriber.terminate();
    this.io.engine.close();
    await this.io.close();
  }

  #refuse(req: IncomingMessage): string | undefined {
    const refused = (reason: string) => {
      this.#options.metrics.handshakesRefused.inc({ reason });
      return reason;
    };
    if (this.#draining) return refused('draining');
    const established = new URL(req.url ?? '/', 'http://localhost').searchParams.has('sid');
    if (!established && this.io.engine.clientsCount >= this.#options.maxConnections) return refused('full');
    return this.#originAllowed(req) ? undefined : refused('origin');
  }

  /** A browser lets any page open a WebSocket anywhere: unlike with CORS, the server has to say no. */
  #originAllowed(req: IncomingMessage): boolean {
    const { origin, host } = req.headers;
    if (origin === undefined) return true;
    const { origins } = this.#options;
    if (origins.includes('*') || origins.includes(origin)) return true;
    return URL.canParse(origin) && new URL(origin).host === host;
  }

  /** Also what is no request costs something: acknowledgements of nothing, other namespaces, binary parts. */
  #countPackets(conn: EngineConnection): void {
    let left = MAX_PACKETS;
    let since = Date.now();
    conn.on('packet', () => {
      const now = Date.now();
      if (now - since >= 1000) {
        left = MAX_PACKETS;
        since = now;
      }
      left -= 1;
      if (left >= 0) return;
      this.#options.metrics.sessionsClosed.inc({ code: 'flooding' });
      conn.close(true);
    });
  }

  async #admit(socket: Socket<ClientToServer, ServerToClient>, next: (error?: Error) => void): Promise<void> {
    // A hundred CONNECT packets on one WebSocket would make a hundred sockets and a hundred copies of each event.
    const attempts = this.#attempts.get(socket.conn) ?? 0;
    if (attempts >= MAX_ATTEMPTS) {
      this.#options.metrics.handshakesRefused.inc({ reason: 'second_connect' });
      socket.conn.close();
      // Socket.IO keeps a socket until its middleware has answered.
      next(new Error('One connection has one socket.'));
      return;
    }
    this.#attempts.set(socket.conn, Infinity);
    let connection: Connection | undefined;
    try {
      const auth = this.#readAuth(socket.handshake.auth);
      const identity = this.#options.verify(auth.token);
      if (this.#options.connections.countOf(identity.id) >= this.#options.maxPerUser) {
        throw new AppError('too_many_requests', 'This user has too many connections.', {
          headers: { 'Retry-After': String(CROWDED_PAUSE) },
        });
      }
      // Known before its session is looked up, so that a revocation cannot slip in between.
      connection = this.#openConnection(socket, identity, auth);
      await this.#options.requireSession(identity);
      if (!this.#subscribers.has(connection)) throw new AppError('unauthorized', 'The session has ended.');
      next();
    } catch (error) {
      if (connection) this.#forget(connection);
      this.#attempts.set(socket.conn, attempts + 1);
      next(this.#connectError(error));
    }
  }

  #readAuth(given: unknown): Auth {
    const token = typeof given === 'object' && given !== null && 'token' in given ? given.token : undefined;
    if (token === undefined || token === '')
      throw new AppError('unauthorized', 'The handshake has no token.');
    const { value, errors } = check(handshakeAuth, 'auth', given);
    if (errors) throw invalid(errors, MAX_FAULTS);
    return value;
  }

  /** What a stock client gets as `connect_error`: `data` is the problem object of REST. */
  #connectError(error: unknown): Error {
    const known = this.#options.onCodedError(error);
    if (!known) this.#options.log.error({ err: error }, 'a handshake failed on a bug');
    const problem = (
      known ?? new AppError('internal', 'Something went wrong here. It has been logged.')
    ).toProblem();
    this.#options.metrics.handshakesRefused.inc({ reason: known?.code ?? 'internal' });
    return Object.assign(new Error(problem.detail), { data: problem });
  }

  #openConnection(
    socket: Socket<ClientToServer, ServerToClient>,
    identity: Identity,
    auth: Auth,
  ): Connection {
    const connection: Connection = {
      identity,
      end: (code, detail) => {
        const subscriber = this.#subscribers.get(connection);
        if (subscriber) this.#end(subscriber, code, detail);
      },
      expiring: (expiresAt) => {
        this.#subscribers
          .get(connection)
          ?.write(encodeMessage('session:expiring', { expires_at: new Date(expiresAt).toISOString() }));
      },
    };
    const subscriber = new Subscriber(socket, connection, auth.feed, auth.tallies);
    this.#subscribers.set(connection, subscriber);
    this.#options.connections.add(connection);
    socket.data = subscriber;
    socket.conn.once('close', () => this.#forget(connection));
    return connection;
  }

  #welcome(socket: Socket<ClientToServer, ServerToClient>): void {
    const subscriber = socket.data as Subscriber;
    if (subscriber.ended) {
      // Its session ended between the look-up and here.
      socket.disconnect(true);
      return;
    }
    this.#options.metrics.connections.set(this.#subscribers.size);
    socket.once('disconnect', () => {
      this.#forget(subscriber.connection);
      // One connection has one socket: without it, it would stand unauthenticated.
      subscriber.close();
    });
    answerRequests(subscriber, {
      ...this.#options,
      delivery: this.#delivery,
      end: (code, detail) => this.#end(subscriber, code, detail),
    });
    const { after, epoch } = socket.handshake.auth as Auth;
    forgetHandshake(socket);
    this.#delivery.admit(subscriber, after, epoch);
  }

  #forget(connection: Connection): void {
    const subscriber = this.#subscribers.get(connection);
    this.#options.connections.remove(connection);
    if (!subscriber) return;
    this.#delivery.remove(subscriber);
    this.#subscribers.delete(connection);
    this.#options.metrics.connections.set(this.#subscribers.size);
  }

  /** The end of a socket, said to it if it still reads. Nothing else is written to it once this has returned. */
  #end(subscriber: Subscriber, code: SessionCloseCode, detail: string): void {
    if (subscriber.ended) return;
    // During the handshake the refusal itself says why.
    if (subscriber.socket.connected) subscriber.write(encodeMessage('session:closed', { code, detail }));
    this.#forget(subscriber.connection);
    this.#options.metrics.sessionsClosed.inc({ code });
    if (code === 'slow_consumer') {
      // It does not read: its last words would wait as long as the rest.
      subscriber.terminate();
      return;
    }
    // Leaving the namespace tells a stock client not to come back by itself; a closed transport, to come back.
    if (code === 'draining' || code === 'reset') subscriber.close();
    else subscriber.socket.disconnect(true);
    setTimeout(() => subscriber.terminate(), LAST_WORDS).unref();
  }
}

/** What is kept of a handshake once it is over. */
const nothing = Object.freeze({});

/**
 * Drops the HTTP request that a connection came with, which Engine.IO and Socket.IO keep for as long as it stands. A
 * long-polling session still needs its own.
 */
function forgetHandshake(socket: Socket<ClientToServer, ServerToClient>): void {
  const conn = socket.conn as unknown as { request?: unknown; transport: { name: string } };
  if (conn.transport.name === 'websocket') conn.request = undefined;
  Object.assign(socket.handshake, { headers: nothing, query: nothing, auth: nothing });
}
