import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Which way bytes go: from who connected to the server, or back. */
export type Direction = 'toServer' | 'toClient';

/** What a tap decides about a piece of the stream: let it through (changed or not), or end the connection instead. */
export type Verdict = Buffer | 'cut';

/**
 * Looks at every piece that passes, in order, and may change it. It may return a promise: nothing else of this direction
 * of this connection passes meanwhile.
 * @param connection the same object for all pieces of one connection, for a tap that keeps state
 */
export type Tap = (piece: Buffer, direction: Direction, connection: object) => Verdict | Promise<Verdict>;

export interface TcpProxyOptions {
  /** Where to connect to, asked for each connection; tried in order until one accepts. */
  targets: () => number[];
}

/**
 * A TCP proxy on loopback that can do what a network does: refuse, cut, delay, swallow bytes in one direction or in both,
 * and go half-open (both ends believe that the connection stands, and nothing ever arrives).
 */
export class TcpProxy {
  readonly port: number;
  /** Connections are refused while this is set; those that stand are left alone. */
  refusing = false;
  /** Extra latency in milliseconds, drawn for each piece. The order of a stream is kept. */
  delay: Record<Direction, () => number> = { toServer: none, toClient: none };
  /** Asked for every piece, also of connections that stand already. */
  tap: Tap | undefined;
  /** Connections that have been made through it. */
  accepted = 0;
  readonly #server: Server;
  readonly #links = new Set<Link>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start({ targets }: TcpProxyOptions): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new TcpProxy(server);
    server.on('connection', (client) => proxy.#accept(client, targets()));
    return proxy;
  }

  get size(): number {
    return this.#links.size;
  }

  /** Resets the connections that stand; a share of them, chosen by `which`, if given. Returns how many. */
  cut(which: () => boolean = () => true): number {
    const chosen = [...this.#links].filter(which);
    for (const link of chosen) link.reset();
    return chosen.length;
  }

  /** From here on the connections that stand carry nothing in this direction, and nobody is told. New ones are not affected. */
  swallow(...directions: Direction[]): number {
    for (const link of this.#links) link.swallow(directions);
    return this.#links.size;
  }

  /** Ends the connections that swallow. Without this they stand until one of the ends gives up. */
  release(): void {
    for (const link of this.#links) if (link.swallowing) link.reset();
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  #accept(client: Socket, targets: number[]): void {
    client.on('error', ignore);
    if (this.refusing) {
      reset(client);
      return;
    }
    this.accepted += 1;
    const link = new Link(client, targets, this);
    this.#links.add(link);
    link.onClosed(() => this.#links.delete(link));
  }
}

const none = () => 0;
/** A connection that breaks is what this is for; its end is seen in `close`. */
const ignore = () => undefined;

/**
 * Ends a connection with RST. One whose end has been said already is only closed: libuv refuses to reset it (EINVAL), and Node
 * 20 would then wait for its shutdown without end when the process exits.
 */
function reset(socket: Socket): void {
  if (socket.connecting || socket.writableEnded || socket.destroyed) socket.destroy();
  else socket.resetAndDestroy();
}

/** Both halves of one connection. */
class Link {
  readonly #client: Socket;
  readonly #proxy: TcpProxy;
  readonly #swallowed = new Set<Direction>();
  #server: Socket | undefined;
  #closed: () => void = ignore;
  #ended = false;

  constructor(client: Socket, targets: number[], proxy: TcpProxy) {
    this.#client = client;
    this.#proxy = proxy;
    client.pause();
    client.once('close', () => this.#endOf(client));
    this.#dial(targets);
  }

  get swallowing(): boolean {
    return this.#swallowed.size > 0;
  }

  onClosed(listener: () => void): void {
    this.#closed = listener;
  }

  swallow(directions: Direction[]): void {
    for (const direction of directions) this.#swallowed.add(direction);
  }

  reset(): void {
    if (this.#ended) return;
    this.#ended = true;
    reset(this.#client);
    if (this.#server) reset(this.#server);
    this.#closed();
  }

  #dial([port, ...others]: number[]): void {
    if (this.#ended) return;
    if (port === undefined) {
      this.reset();
      return;
    }
    const server = connect({ port, host: '127.0.0.1', noDelay: true });
    server.once('error', () => {
      if (this.#server !== server) this.#dial(others);
    });
    server.once('connect', () => {
      this.#server = server;
      server.on('error', ignore);
      server.once('close', () => this.#endOf(server));
      this.#pipe(this.#client, server, 'toServer');
      this.#pipe(server, this.#client, 'toClient');
      if (this.#ended) server.destroy();
    });
  }

  #pipe(from: Socket, to: Socket, direction: Direction): void {
    let tail: Promise<void> | undefined;
    const settle = (verdict: Verdict) => {
      if (verdict === 'cut') this.reset();
      else this.#write(from, to, verdict, direction);
    };
    const pass = async (piece: Buffer, delay: number) => {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      settle(await (this.#proxy.tap?.(piece, direction, this) ?? piece));
    };
    from.on('data', (piece: Buffer) => {
      const delay = this.#proxy.delay[direction]();
      let work: Promise<void> | undefined;
      if (!tail && delay === 0) {
        // The plain case stays synchronous: a promise for each piece would be most of what this costs.
        const verdict = this.#proxy.tap?.(piece, direction, this) ?? piece;
        if (!(verdict instanceof Promise)) {
          settle(verdict);
          return;
        }
        work = verdict.then(settle);
      } else work = (tail ?? Promise.resolve()).then(() => pass(piece, delay));
      const turn: Promise<void> = work.finally(() => {
        if (tail === turn) tail = undefined;
      });
      tail = turn;
    });
    from.once('end', () => {
      const end = () => {
        if (!this.#swallowed.has(direction)) to.end();
      };
      if (tail) void tail.then(end);
      else end();
    });
    from.resume();
  }

  #write(from: Socket, to: Socket, piece: Buffer, direction: Direction): void {
    if (this.#ended || this.#swallowed.has(direction) || to.destroyed || piece.length === 0) return;
    if (!to.write(piece)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  }

  /** One end has gone. The other is told, unless the connection is half-open in that direction. */
  #endOf(socket: Socket): void {
    const direction: Direction = socket === this.#client ? 'toServer' : 'toClient';
    if (this.#swallowed.has(direction) && !this.#bothGone()) return;
    if (this.#ended) return;
    this.#ended = true;
    this.#client.destroy();
    this.#server?.destroy();
    this.#closed();
  }

  #bothGone(): boolean {
    return this.#client.destroyed && (this.#server?.destroyed ?? true);
  }
}
