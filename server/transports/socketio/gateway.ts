import type { Server as HttpServer, IncomingMessage } from 'node:http';
import { Server, type Socket } from 'socket.io';
import { type Connections, isEndOfSession } from '../../delivery/connections.ts';
import type { Identity } from '../../identity.ts';
import type { Delivery } from '../../delivery/delivery.ts';
import { HARD_MARK, SOFT_MARK } from '../../delivery/subscriber.ts';
import type { TimeSlices } from '../../delivery/time-slices.ts';
import { AppError, invalid, unavailable } from '../../errors.ts';
import type { ClientToServer, ServiceMessages, SessionCloseCode, Tally } from '../../protocol.ts';
import type { Follower } from '../../log/follower.ts';
import type { MissedTallies } from '../../counters/missed-tallies.ts';
import { check, type Infer, withoutEmpty } from '../../api/schema.ts';
import { sendersAt } from '../../queues/senders.ts';
import { subscriptionTo } from '../../topics/subscription.ts';
import { ConnectionRefusal, type ConnectionSlot } from '../../limits/connection-limits.ts';
import {
  type EngineConnection,
  engineConnection,
  type EngineSocket,
} from '../../library-internals/engine-connection.ts';
import type { FastPaths } from '../../library-internals/fast-paths.ts';
import { slim } from '../../library-internals/slimming.ts';
import { socketServerOptions } from '../../library-internals/socket-server.ts';
import { requirePayloadLimits } from './payload-limits.ts';
import { RequestBuckets } from './token-buckets.ts';
import { encodeMessage } from './encoding.ts';
import { EngineRequestGuard, type EngineRequestOptions, reasonOf } from './engine-request-guard.ts';
import { type EngineResponse, queryOf } from './engine-requests.ts';
import { answerRequests, MAX_FAULTS, type RequestOptions } from './requests.ts';
import { handshakeAuth, MAX_TOKEN } from './schemas.ts';
import { type EndSubscriber, type FeedSocket, Subscriber } from './subscriber.ts';
import { TallyDelivery } from './tally-delivery.ts';
import { Unauthenticated } from './unauthenticated.ts';

export interface GatewayOptions extends EngineRequestOptions {
  http: HttpServer;
  feed: Follower;
  connections: Connections;
  delivery: Delivery;
  /** For how long at a time it writes to its sockets. */
  slices: TimeSlices;
  fastPaths: FastPaths;
  /** Tallies that a client at this position may not have heard. */
  missedTallies: MissedTallies['since'];
  /** Whose token it is. @param senders whose turn a look-up takes @throws {AppError} 401, 403, 503 */
  verify: (token: string, senders: () => readonly string[]) => Identity | Promise<Identity>;
  /** @throws {AppError} 401 unless the token's session lives */
  requireSession: (identity: Identity, subscriber: Subscriber) => Promise<void>;
  /** The tallies of those of these posts that the subscriber's user may see. */
  talliesOf: (subscriber: Subscriber, postIds: readonly number[]) => Promise<Tally[]>;
  /** A connection that has not authenticated by then is closed. Milliseconds. */
  handshakeLimit: number;
  /** Whether what one user, and one address, asks over all sockets of this node is limited. */
  limitMessages: boolean;
  onCodedError: (error: unknown) => AppError | undefined;
  /** Ids of Engine.IO sessions, where they have to say which worker holds the session. */
  newSessionId?: () => string;
}

type Auth = Infer<typeof handshakeAuth>;

/** What a handshake says, and whose token it has. */
interface ReadAuth {
  auth: Auth;
  identity: Identity;
}

/** A frame above this closes the connection. Bytes. */
const MAX_FRAME = 16 * 1024;
/** How often to check whether there is one. Milliseconds. */
const CONNECT_SWEEP = 250;
/** Handshakes that one connection may fail, one after the other. */
const MAX_ATTEMPTS = 3;
/** Packets of any kind that one connection may send within a second; far beyond what requests are limited to. */
const MAX_PACKETS = 1000;
/** How long a closed socket may take to read its last words before its TCP connection is ended. Milliseconds. */
const LAST_WORDS = 1000;
/** The same when the node stops, which waits for all that is still to be read. Milliseconds. */
const LAST_WORDS_OF_ALL = 3000;

/** How often full token buckets are deleted. Milliseconds. */
const BUCKETS_SWEEP = 1000;

/** The answer to an upgrade and Engine.IO's first packet come in one turn: they leave in one write, since writes are what a handshake costs. */
function oneWrite(_headers: unknown, { headers, socket }: IncomingMessage): void {
  if (headers.upgrade === undefined) return;
  socket.cork();
  setImmediate(uncork, socket);
}

function uncork(socket: IncomingMessage['socket']): void {
  socket.uncork();
}

/** Per-connection state of an Engine.IO connection. */
interface Visit {
  connection: EngineConnection;
  slot: ConnectionSlot | undefined;
  /** How often it was refused; `Infinity` while it asks and once it is in. */
  attempts: number;
  /** Packets that it may still send within the second that began then; milliseconds since 1970. */
  left: number;
  since: number;
  subscriber: Subscriber | undefined;
}

/** The Socket.IO transport: the life of a connection, from its handshake to its end. */
export class Gateway {
  readonly io: Server<ClientToServer, ServiceMessages>;
  readonly #options: GatewayOptions;
  readonly #delivery: Delivery;
  readonly #tallies: TallyDelivery;
  readonly #buckets: RequestBuckets;
  readonly #unauthenticated = new Unauthenticated();
  readonly #requests: EngineRequestGuard;
  readonly #requestOptions: RequestOptions;
  /** One for all connections: a closure per connection would cost memory. */
  readonly #callbacks: ConstructorParameters<typeof Subscriber>[5];
  readonly #visits = new WeakMap<object, Visit>();
  #sweeping: NodeJS.Timeout[] = [];
  #size = 0;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.io = new Server(options.http, {
      ...socketServerOptions,
      maxHttpBufferSize: MAX_FRAME,
      // Ours comes first: Socket.IO's waits half a minute more for a long-polling session to fetch its end.
      connectTimeout: 2 * options.handshakeLimit,
      pingInterval: 10_000,
      pingTimeout: 10_000,
      upgradeTimeout: 5000,
    });
    this.#requests = new EngineRequestGuard(options);
    this.#requests.watch(this.io.engine);
    if (options.newSessionId) this.io.engine.generateId = options.newSessionId;
    const end: EndSubscriber = (subscriber, code, detail) => this.#end(subscriber, code, detail);
    this.#tallies = new TallyDelivery({ ...options, end });
    this.#delivery = options.delivery;
    this.#buckets = new RequestBuckets(options.limitMessages);
    this.#requestOptions = {
      ...options,
      tallies: this.#tallies,
      buckets: this.#buckets,
    };
    this.#callbacks = { end, unread: this.#delivery.unread };
    options.feed.on('epoch', () => this.#tallies.forget());
    // One listener for all connections: a closure per connection would cost memory.
    const count = (conn: EngineSocket) => this.#countPacket(conn);
    const leave = (conn: EngineSocket) => this.#left(conn);
    function onPacket(this: EngineSocket): void {
      count(this);
    }
    function onClose(this: EngineSocket): void {
      leave(this);
    }
    this.io.engine.on('headers', oneWrite);
    this.io.engine.on('connection', (conn: EngineSocket) => {
      const connection = engineConnection(conn, options.fastPaths);
      this.#unauthenticated.add(connection);
      this.#visits.set(conn, {
        connection,
        slot: this.#requests.slotOf(conn.request),
        attempts: 0,
        left: MAX_PACKETS,
        since: 0,
        subscriber: undefined,
      });
      conn.on('packet', onPacket);
      conn.on('close', onClose);
    });
    this.io.use((socket, next) => void this.#admit(socket, next));
    this.io.on('connection', (socket) => this.#welcome(socket));
  }

  start(): void {
    this.#tallies.start();
    this.#sweeping = [
      setInterval(() => this.#buckets.sweep(), BUCKETS_SWEEP),
      setInterval(() => this.#unauthenticated.endOlderThan(this.#options.handshakeLimit), CONNECT_SWEEP),
    ];
  }

  /** Sockets of this node. */
  get size(): number {
    return this.#size;
  }

  /** The posts that some socket of this node tracks. */
  get trackedPosts(): Iterable<number> {
    return this.#tallies.trackedPosts;
  }

  /**
   * @param incomplete whether more tallies have changed than are sent one by one
   * @returns how long it worked, in milliseconds, when all have been written to
   */
  deliverTallies(tallies: readonly Tally[], incomplete: boolean): Promise<number> {
    return this.#tallies.deliver(tallies, incomplete);
  }

  async close(): Promise<void> {
    this.#tallies.stop();
    for (const timer of this.#sweeping) clearInterval(timer);
    this.io.engine.close();
    await this.io.close();
  }

  /**
   * Answers a request for a session that another worker holds, if it may not come in.
   * @returns whether it has
   */
  refused(req: IncomingMessage, res: EngineResponse): boolean {
    return this.#requests.refused(req, res);
  }

  /** Whom an answer to a request counts for. */
  sendersOf(req: IncomingMessage): readonly string[] {
    const sid = queryOf(req).get('sid') ?? '';
    const { clients } = this.io.engine as unknown as { clients: Record<string, object> };
    const visit = Object.hasOwn(clients, sid) ? this.#visits.get(clients[sid] ?? {}) : undefined;
    return visit?.subscriber?.senders ?? sendersAt(visit?.slot?.address ?? this.#options.addressOf(req));
  }

  /** Also what is no request costs something: acknowledgements of nothing, other namespaces, binary parts. */
  #countPacket(conn: EngineSocket): void {
    const visit = this.#visits.get(conn);
    if (!visit) return;
    const now = Date.now();
    if (now - visit.since >= 1000) {
      visit.left = MAX_PACKETS;
      visit.since = now;
    }
    visit.left -= 1;
    if (visit.left < 0) {
      this.#options.metrics.sessionsClosed.inc({ code: 'flooding' });
      visit.connection.discard();
    } else this.#weigh(visit);
  }

  /**
   * Socket.IO answers some packets by itself, without our limits. A client that sends them without reading is closed
   * here.
   */
  #weigh({ connection, subscriber }: Visit): void {
    const { pending } = connection;
    if (pending === 0) return;
    if (subscriber && !subscriber.ended) {
      if (pending > HARD_MARK)
        this.#end(subscriber, 'slow_consumer', 'The client does not read the responses that are sent to it.');
      else this.#delivery.unread.add(subscriber);
    } else if (pending > SOFT_MARK) {
      this.#options.metrics.sessionsClosed.inc({ code: 'slow_consumer' });
      connection.discard();
    }
  }

  #left(conn: EngineSocket): void {
    const visit = this.#visits.get(conn);
    if (!visit) return;
    const { connection, subscriber, slot } = visit;
    this.#unauthenticated.remove(connection);
    if (subscriber) this.#forget(subscriber);
    slot?.release();
    // A peer that ignores the closing handshake would hold its TCP connection for another half minute.
    setTimeout(() => connection.cutOff(), LAST_WORDS).unref();
  }

  async #admit(
    socket: Socket<ClientToServer, ServiceMessages>,
    next: (error?: Error) => void,
  ): Promise<void> {
    // A hundred CONNECT packets on one WebSocket would make a hundred sockets and a hundred copies of each event.
    const visit = this.#visits.get(socket.conn);
    const attempts = visit?.attempts ?? Infinity;
    if (!visit || attempts >= MAX_ATTEMPTS) {
      this.#options.metrics.handshakesRefused.inc({ reason: 'second_connect' });
      socket.conn.close();
      // Socket.IO keeps a socket until its middleware has answered.
      next(new Error('Only one socket per connection is allowed.'));
      return;
    }
    visit.attempts = Infinity;
    // Socket.IO asks a turn after the packet: what came behind it may have closed the connection, and its end is not told
    // again.
    if (socket.conn.readyState !== 'open') {
      next(new Error('The connection has closed.'));
      return;
    }
    let subscriber: Subscriber | undefined;
    try {
      const address = visit.slot?.address ?? this.#options.addressOf(socket.request);
      const read = this.#readAuth(socket.handshake.auth, address);
      // At once where nothing is looked up: a client may send its next attempt right behind this one.
      const { auth, identity } = read instanceof Promise ? await read : read;
      if (socket.conn.readyState !== 'open') throw unavailable('The connection has closed.', 1);
      // From here on as it has been understood, with its defaults and without what holds nothing.
      socket.handshake.auth = auth;
      visit.slot?.assign(identity.id);
      // Registered before its session is checked, so that no revocation is missed in between.
      const wishes = { ...auth, topics: subscriptionTo(auth.topics) };
      subscriber = new Subscriber(socket, visit.connection, identity, address, wishes, this.#callbacks);
      this.#delivery.enter(subscriber);
      this.#count(1);
      visit.subscriber = subscriber;
      await this.#options.requireSession(identity, subscriber);
      if (subscriber.ended) throw new AppError('unauthorized', 'The session has ended.');
      socket.data = subscriber;
      this.#unauthenticated.remove(visit.connection);
      next();
    } catch (error) {
      if (subscriber) this.#forget(subscriber);
      visit.slot?.assign(undefined);
      // A stock client stays away when it is refused by name, and comes back when its transport closes.
      if (this.#delivery.draining) socket.conn.close();
      visit.attempts = attempts + 1;
      next(this.#connectError(error));
      // Otherwise it would count as a connection of its address until the authentication timeout. A turn later:
      // Socket.IO has yet to say why.
      if (error instanceof ConnectionRefusal) setImmediate(() => socket.conn.close());
    }
  }

  /** Authentication comes before validation, as in REST; and little work is done for an unauthenticated client. */
  #readAuth(given: unknown, address: string): ReadAuth | Promise<ReadAuth> {
    const token = typeof given === 'object' && given !== null && 'token' in given ? given.token : undefined;
    if (token === undefined || token === '')
      throw new AppError('unauthorized', 'The handshake has no token.');
    const verify = (token: string) => this.#options.verify(token, () => [address]);
    const known = typeof token === 'string' && token.length <= MAX_TOKEN ? verify(token) : undefined;
    const read = (identity: Identity | undefined): ReadAuth | Promise<ReadAuth> => {
      requirePayloadLimits('auth', given);
      const { value, errors } = check(handshakeAuth, 'auth', withoutEmpty(handshakeAuth, given));
      if (errors) throw invalid(errors, MAX_FAULTS);
      if (identity) return { auth: value, identity };
      const found = verify(value.token);
      return found instanceof Promise
        ? found.then((identity) => ({ auth: value, identity }))
        : { auth: value, identity: found };
    };
    return known instanceof Promise ? known.then(read) : read(known);
  }

  /** What a stock client gets as `connect_error`: `data` is the problem object of REST. */
  #connectError(error: unknown): Error {
    const known = this.#options.onCodedError(error);
    if (!known) this.#options.log.error({ err: error }, 'a handshake failed because of a bug');
    const problem = (
      known ?? new AppError('internal', 'Something went wrong here. It has been logged.')
    ).toProblem();
    this.#options.metrics.handshakesRefused.inc({
      reason: known instanceof ConnectionRefusal ? reasonOf(known) : (known?.code ?? 'internal'),
    });
    return Object.assign(new Error(problem.detail), { data: problem });
  }

  #welcome(socket: Socket<ClientToServer, ServiceMessages>): void {
    const subscriber = socket.data as Subscriber;
    if (subscriber.ended) {
      // Its session ended between the look-up and here.
      socket.disconnect(true);
      return;
    }
    socket.on('disconnect', whenDisconnected);
    answerRequests(subscriber, this.#requestOptions);
    const { after, epoch } = socket.handshake.auth as Auth;
    // Released at once: objects that live for a second reach V8's old space, and fragment it on a busy node.
    slim(socket, this.#options.fastPaths);
    // The rest when there is a WebSocket.
    if (socket.conn.transport.name === 'polling')
      socket.conn.once('upgrade', () => slim(socket, this.#options.fastPaths));
    this.#tallies.admit(subscriber);
    this.#delivery.admit(subscriber, after, epoch, (from) => this.#tallies.tellMissed(subscriber, from));
  }

  #forget(subscriber: Subscriber): void {
    if (!this.#delivery.remove(subscriber)) return;
    this.#tallies.remove(subscriber);
    this.#count(-1);
  }

  #count(by: 1 | -1): void {
    this.#size += by;
    this.#options.metrics.connections.set(this.#size);
  }

  /**
   * Closes a socket, with `session:closed` if it still reads. Nothing else is written to it after this has returned.
   */
  #end(subscriber: Subscriber, code: SessionCloseCode, detail: string): void {
    if (subscriber.ended) return;
    const isRevoked = isEndOfSession(code);
    const isClean = !isRevoked || subscriber.discardQueue();
    // During the handshake the refusal itself says why.
    if (subscriber.socket.connected) subscriber.write(encodeMessage('session:closed', { code, detail }));
    this.#forget(subscriber);
    this.#options.metrics.sessionsClosed.inc({ code });
    // Its last words would wait as long as the rest; and behind what is still on its way to it, events would follow the end of
    // a session.
    if (code === 'slow_consumer' || !isClean || (isRevoked && subscriber.pending > SOFT_MARK)) {
      subscriber.terminate();
      return;
    }
    // Leaving the namespace tells a stock client not to come back by itself; a closed transport, to come back.
    if (code === 'draining' || code === 'reset') subscriber.close();
    else subscriber.socket.disconnect(true);
    const patience = code === 'draining' ? LAST_WORDS_OF_ALL : LAST_WORDS;
    setTimeout(() => subscriber.terminate(), patience).unref();
  }
}

/** One connection has one socket: without its socket it would stay open unauthenticated. */
function whenDisconnected(this: FeedSocket): void {
  (this.data as Subscriber).close();
}
