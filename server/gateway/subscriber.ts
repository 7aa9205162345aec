import type { Socket } from 'socket.io';
import type { Connection } from '../auth/connections.ts';
import type { ClientToServer, FeedMode, ServerToClient, Tally, TallyMode } from '../events.ts';
import type { Encoded } from './encoding.ts';

export type FeedSocket = Socket<ClientToServer, ServerToClient>;

/** Engine.IO's connection, as far as we look into it; test/gateway-internals pins it. */
export interface EngineConnection {
  readyState: string;
  writeBuffer: { data?: string; options?: { wsPreEncodedFrame?: Buffer[] } }[];
  transport: { socket?: { bufferedAmount?: number; terminate?: () => void; _socket?: { destroy(): void } } };
  write(data: string, options: object): unknown;
  close(discard?: boolean): unknown;
  on(event: 'packet', listener: () => void): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** One socket of this node and what it wants to hear. */
export class Subscriber {
  readonly socket: FeedSocket;
  readonly connection: Connection;
  feed: FeedMode;
  tallies: TallyMode;
  /** Events up to here have been handed to the socket, or are its own affair. */
  seq = 0;
  /** Posts whose tallies it wants, in mode `tracked`. */
  readonly tracked = new Set<number>();
  /** Tallies held back while the socket was slow: the newest of each post. */
  heldTallies: Map<number, Tally> | undefined;
  /** In mode `count`: events since the last message about them. */
  uncounted = 0;
  /** Whether `ready` has been said. */
  greeted = false;
  /** Whether it asked for another mode before `ready`: then what it missed is its own affair. */
  switched = false;
  /** Whether a loop of its own is bringing it up to date. */
  catchingUp = false;
  /** Since when more waits for it than it may leave unread; in milliseconds since 1970. */
  slowSince: number | undefined;
  ended = false;

  constructor(socket: FeedSocket, connection: Connection, feed: FeedMode, tallies: TallyMode) {
    this.socket = socket;
    this.connection = connection;
    this.feed = feed;
    this.tallies = tallies;
  }

  get #engine(): EngineConnection {
    return this.socket.conn as unknown as EngineConnection;
  }

  /** Whether the transport still stands. */
  get open(): boolean {
    return !this.ended && this.#engine.readyState === 'open';
  }

  /** Bytes that the kernel has not taken yet: what this client costs the node because it does not read. */
  get pending(): number {
    const { transport, writeBuffer } = this.#engine;
    let bytes = transport.socket?.bufferedAmount ?? 0;
    for (const { data, options } of writeBuffer) {
      const frame = options?.wsPreEncodedFrame;
      if (frame) for (const part of frame) bytes += part.length;
      else bytes += data?.length ?? 0;
    }
    return bytes;
  }

  /** Hands an encoded message to the transport. */
  write(message: Encoded): void {
    if (!this.open) return;
    const { packet, frame } = message;
    this.#engine.write(packet, frame ? { compress: false, wsPreEncodedFrame: frame } : { compress: false });
  }

  /** Ends the TCP connection, whatever is still to be written: a client that does not read would hold it forever. */
  terminate(): void {
    const { transport } = this.#engine;
    this.#engine.close(true);
    transport.socket?.terminate?.();
  }

  /** Closes the transport after what is written has left; a stock client then reconnects by itself. */
  close(): void {
    this.#engine.close();
  }
}
