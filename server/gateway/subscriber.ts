import type { Socket } from 'socket.io';
import type { Identity } from '../auth/identity.ts';
import type { BatchView } from '../delivery/batch.ts';
import { FeedSubscriber, type Greeting } from '../delivery/subscriber.ts';
import type {
  ClientToServer,
  FeedMode,
  Position,
  ServerToClient,
  SessionCloseCode,
  Tally,
  TallyMode,
} from '../events.ts';
import { type Encoded, encodeMessage, encodeShared, framesOf, type Run } from './encoding.ts';

export type FeedSocket = Socket<ClientToServer, ServerToClient>;

/** Engine.IO's connection, as far as we look into it; test/gateway-internals pins it. */
export interface EngineConnection {
  readyState: string;
  writeBuffer: { data?: string; options?: { wsPreEncodedFrame?: Buffer[] } }[];
  transport: {
    writable?: boolean;
    /** The WebSocket of ws, and its TCP connection. */
    socket?: {
      readyState?: number;
      bufferedAmount?: number;
      terminate?: () => void;
      _socket?: {
        destroy(): void;
        resetAndDestroy?(): void;
        writableLength?: number;
        write?: (bytes: Buffer) => unknown;
      };
    };
  };
  write(data: string, options: object): unknown;
  close(discard?: boolean): unknown;
  on(event: 'packet' | 'close', listener: (this: EngineConnection) => void): unknown;
}

/** How the packet of an event begins (protocol 5, namespace `/`). */
const EVENT = '2[';

/** The `readyState` of a WebSocket that may be written to. */
const OPEN = 1;

/** Bytes that the kernel has not taken yet. */
export function pendingOf({ transport, writeBuffer }: EngineConnection): number {
  let bytes = transport.socket?.bufferedAmount ?? 0;
  for (const { data, options } of writeBuffer) {
    const frame = options?.wsPreEncodedFrame;
    if (frame) for (const part of frame) bytes += part.length;
    else bytes += data?.length ?? 0;
  }
  return bytes;
}

/**
 * Ends the TCP connection of a WebSocket, whatever is still to be written. It is reset: closed in order, it would stand for as
 * long as the kernel tries to hand over the megabytes that somebody does not read.
 */
export function cutOff({ transport }: EngineConnection): void {
  const { socket } = transport;
  try {
    socket?._socket?.resetAndDestroy?.();
  } catch {
    // No TCP connection: a sibling process hands it on.
  }
  socket?.terminate?.();
}

/** Ends a socket with a coded reason. */
export type EndSubscriber = (subscriber: Subscriber, code: SessionCloseCode, detail: string) => void;

/** One socket of this node, whose it is, and what it wants to hear. */
export class Subscriber extends FeedSubscriber {
  readonly socket: FeedSocket;
  tallies: TallyMode;
  /** Posts whose tallies it wants; those that nobody has looked up yet with the request that named them last. */
  tracked: Map<number, object | undefined> | undefined;
  /** Tallies held back while the socket was slow: the newest of each post. */
  heldTallies: Map<number, Tally> | undefined;
  readonly #end: EndSubscriber;
  readonly #unread: Set<FeedSubscriber>;

  /** @param surroundings how it is ended, and where it is noted that something may wait for it to read */
  constructor(
    socket: FeedSocket,
    identity: Identity,
    { feed, tallies }: { feed: FeedMode; tallies: TallyMode },
    { end, unread }: { end: EndSubscriber; unread: Set<FeedSubscriber> },
  ) {
    super(identity, feed);
    this.socket = socket;
    this.tallies = tallies;
    this.#end = end;
    this.#unread = unread;
  }

  get #engine(): EngineConnection {
    return this.socket.conn as unknown as EngineConnection;
  }

  end(code: SessionCloseCode, detail: string): void {
    this.#end(this, code, detail);
  }

  expiring(expiresAt: number): void {
    this.write(encodeMessage('session:expiring', { expires_at: new Date(expiresAt).toISOString() }));
  }

  /** Whether the transport still stands. */
  get open(): boolean {
    return !this.ended && this.#engine.readyState === 'open';
  }

  /** What this client costs the node because it does not read. Bytes. */
  get pending(): number {
    return pendingOf(this.#engine);
  }

  /** Something was sent to it on another road than by `write`. */
  noteAnswer(): void {
    if (!this.ended) this.#unread.add(this);
  }

  /** Hands an encoded message to the transport. */
  write(message: Encoded): void {
    if (!this.open) return;
    const { frame } = message;
    if (frame && this.#writeDirectly(frame[0])) return;
    // Only now: the text of a message is made from its frame when it is first asked for.
    this.#engine.write(
      message.packet,
      frame ? { compress: false, wsPreEncodedFrame: frame } : { compress: false },
    );
    this.#unread.add(this);
  }

  writeEvents(view: BatchView, from: number, to: number): number {
    this.writeRun(view.as(framesOf), from, to);
    return to - from;
  }

  /** Hands over the messages of a run from `from` up to, without, `to`: in one write if nothing waits before them. */
  writeRun(run: Run, from: number, to: number): void {
    if (!this.open) return;
    const bytes = run.bytes(from, to);
    if (bytes && this.#writeDirectly(bytes)) return;
    for (const message of run.messages.slice(from, to)) this.write(message);
  }

  greet({ epoch, seq, outcome, reason }: Greeting): void {
    const state = { epoch, seq, user_id: this.identity.id, outcome };
    this.write(encodeMessage('ready', reason === undefined ? state : { ...state, reason }));
  }

  writeHead(head: Position): void {
    this.write(encodeShared('feed:head', head));
  }

  writeCount(news: { count: number; seq: number }): void {
    this.write(encodeShared('feed:count', news));
  }

  /**
   * Writes frames past Engine.IO to the TCP connection. Engine.IO's queue, its events and its callbacks for each message
   * cost as much as the system call itself. It is the same to the client if the transport is a WebSocket and nothing
   * waits, neither in Engine.IO's queue nor in the socket's; where something does, or this version of the two looks
   * different inside (test/gateway-internals), the public road is taken.
   */
  #writeDirectly(bytes: Buffer): boolean {
    const { transport, writeBuffer } = this.#engine;
    const webSocket = transport.socket;
    const tcp = webSocket?.readyState === OPEN ? webSocket._socket : undefined;
    if (!tcp?.write || tcp.writableLength !== 0 || transport.writable !== true || writeBuffer.length > 0)
      return false;
    tcp.write(bytes);
    if (tcp.writableLength > 0) this.#unread.add(this);
    return true;
  }

  /** Takes back what has not left Engine.IO yet: the events that wait for the next request of a client that polls. */
  dropQueue(): void {
    const engine = this.#engine;
    engine.writeBuffer = engine.writeBuffer.filter(({ data }) => data?.startsWith(EVENT) !== true);
  }

  /** Ends the TCP connection, whatever is still to be written: a client that does not read would hold it forever. */
  terminate(): void {
    const engine = this.#engine;
    cutOff(engine);
    engine.close(true);
  }

  /** Closes the transport after what is written has left; a stock client then reconnects by itself. */
  close(): void {
    this.#engine.close();
  }
}
