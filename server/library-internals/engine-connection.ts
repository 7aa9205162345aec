import type { IncomingMessage } from 'node:http';
import type { Socket as TcpSocket } from 'node:net';
import type { WebSocket } from 'ws';
import type { FastPaths } from './fast-paths.ts';

/** A connection of Engine.IO, as its documentation has it. */
export interface EngineSocket {
  readonly readyState: string;
  readonly transport: { readonly name: string };
  /** The request that opened the session. */
  readonly request: IncomingMessage;
  send(data: string, options: { compress: boolean }): unknown;
  /** @param discard whether what is still to be written is given up */
  close(discard?: boolean): unknown;
  on(event: 'packet' | 'close' | 'flush', listener: (this: EngineSocket) => void): unknown;
  on(event: 'packetCreate', listener: (packet: { data?: string | Buffer }) => void): unknown;
}

/** A connection of Engine.IO: its send buffer (for backpressure), and how it is written to and closed. */
export interface EngineConnection {
  readonly isOpen: boolean;
  /** The send buffer: bytes that the kernel has not accepted yet, for backpressure. */
  readonly pending: number;
  /**
   * Writes WebSocket frames past the queue of Engine.IO.
   * @returns false if that is not possible now: the same has to be sent as packets
   */
  writeFrames(frames: Buffer): boolean;
  /** Sends the text of a Socket.IO packet. */
  send(packet: string): void;
  /**
   * Takes back the events that Engine.IO has not written yet.
   * @returns false if it cannot take them back
   */
  discardEvents(): boolean;
  /** Closes it when all has been written. */
  close(): void;
  /** Closes it at once, also while it is closing. */
  discard(): void;
  /**
   * Ends the TCP connection of a WebSocket, whatever is still to be written. It is reset: closed in order, it would stand for
   * as long as the kernel tries to hand over the megabytes that somebody does not read.
   */
  cutOff(): void;
}

/** Must be called when Engine.IO tells of a connection, before anything is sent on it. */
export function engineConnection(socket: EngineSocket, fastPaths: FastPaths): EngineConnection {
  return fastPaths.uses('direct-writes')
    ? new DirectConnection(socket, fastPaths)
    : new QueuedConnection(socket);
}

/** How the packet of an event begins (protocol 5, namespace `/`). */
const EVENT = '2[';
const UNCOMPRESSED = { compress: false };
/** The `readyState` of a WebSocket that may be written to. */
const OPEN = 1;

/** What `DirectConnection` uses of Engine.IO and ws beyond their documentation; self-check.ts tries it. */
interface Internals extends EngineSocket {
  /** What waits until the transport has taken what it was given before. */
  writeBuffer: { data?: string | Buffer }[];
  transport: EngineSocket['transport'] & {
    /** Undefined while the client polls. */
    socket?: WebSocket & { _socket?: TcpSocket | null };
  };
}

/**
 * Writes frames to the TCP connection itself while Engine.IO has nothing in its queue: the queue, its events and its
 * callbacks cost as much as the system call. What Engine.IO has taken out of its queue is in that of the TCP connection
 * already, so the order stays.
 */
class DirectConnection implements EngineConnection {
  readonly #socket: Internals;
  readonly #fastPaths: FastPaths;

  constructor(socket: EngineSocket, fastPaths: FastPaths) {
    this.#socket = socket as Internals;
    this.#fastPaths = fastPaths;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === 'open';
  }

  get pending(): number {
    try {
      const { transport, writeBuffer } = this.#socket;
      let bytes = transport.socket?.bufferedAmount ?? 0;
      for (const { data } of writeBuffer) bytes += sizeOf(data);
      return bytes;
    } catch (error) {
      this.#fail(error);
      return 0;
    }
  }

  writeFrames(frames: Buffer): boolean {
    try {
      const { transport, writeBuffer } = this.#socket;
      const webSocket = transport.socket;
      if (webSocket?.readyState !== OPEN || writeBuffer.length > 0) return false;
      const tcp = webSocket._socket;
      if (!tcp) return false;
      tcp.write(frames);
      return true;
    } catch (error) {
      // Nobody knows what was written of it.
      this.#fail(error);
      return true;
    }
  }

  send(packet: string): void {
    this.#socket.send(packet, { ...UNCOMPRESSED });
  }

  discardEvents(): boolean {
    try {
      const { writeBuffer } = this.#socket;
      this.#socket.writeBuffer = writeBuffer.filter(
        ({ data }) => typeof data !== 'string' || !data.startsWith(EVENT),
      );
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  close(): void {
    this.#socket.close();
  }

  discard(): void {
    discard(this.#socket);
  }

  cutOff(): void {
    try {
      const webSocket = this.#socket.transport.socket;
      resetTcp(webSocket?._socket);
      webSocket?.terminate();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The connection goes, the others stay, and new ones take the public API. */
  #fail(error: unknown): void {
    this.#fastPaths.fail('direct-writes', error);
    this.#socket.close(true);
  }
}

/**
 * The same with what Engine.IO documents. Every message goes through its queue, which is counted by its events. What it has
 * given to the transport is not counted: as much again, at most.
 */
class QueuedConnection implements EngineConnection {
  readonly #socket: EngineSocket;
  /** Undefined for a client that began with polling: its WebSocket has another connection. */
  readonly #tcp: TcpSocket | undefined;
  #queued = 0;

  constructor(socket: EngineSocket) {
    this.#socket = socket;
    this.#tcp = socket.transport.name === 'websocket' ? socket.request.socket : undefined;
    socket.on('packetCreate', ({ data }) => (this.#queued += sizeOf(data)));
    socket.on('flush', () => (this.#queued = 0));
  }

  get isOpen(): boolean {
    return this.#socket.readyState === 'open';
  }

  get pending(): number {
    return this.#queued;
  }

  writeFrames(): boolean {
    return false;
  }

  send(packet: string): void {
    this.#socket.send(packet, { ...UNCOMPRESSED });
  }

  discardEvents(): boolean {
    return this.#queued === 0;
  }

  close(): void {
    this.#socket.close();
  }

  discard(): void {
    discard(this.#socket);
  }

  cutOff(): void {
    this.#socket.close(true);
    resetTcp(this.#tcp);
  }
}

/**
 * Engine.IO closes no transport again that is closing: a client that polls could keep its session until the ping timeout by
 * not fetching the end.
 */
function discard(socket: EngineSocket): void {
  socket.close(true);
  const { transport } = socket as EngineSocket & { transport: { shouldClose?: (() => void) | null } };
  // Not documented. Without it, the session ends with the ping timeout.
  if (socket.readyState === 'closing') transport.shouldClose?.();
}

function sizeOf(data: string | Buffer | undefined): number {
  return data === undefined ? 0 : Buffer.byteLength(data);
}

function resetTcp(tcp: TcpSocket | null | undefined): void {
  try {
    tcp?.resetAndDestroy();
  } catch {
    // No TCP connection: a sibling process hands it on, over a socket of the file system.
    tcp?.destroy();
  }
}
