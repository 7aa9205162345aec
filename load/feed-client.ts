import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Problem, Ready } from '../server/contract.ts';
import { FeedHistory } from './feed-history.ts';
import type { Position } from './messages.ts';
import { positionAtEnd, type SharedStream, type SeenEvent } from './shared-stream.ts';
import { TallyHistory } from './tally-history.ts';
import { CLOSE, clientFrame, FrameReader, PING, PONG, upgradeRequest } from './websocket-frames.ts';

/** What all clients of one process share. */
export interface LoaderContext {
  url: URL;
  /** The address that connections leave from, where one has not ports enough for all processes. */
  localAddress: string | undefined;
  stream: SharedStream;
  /** What they subscribe to; without it, everything public. */
  topics?: readonly string[] | undefined;
  /** The position that they come back with; without it, they come for the first time. */
  from?: Position | undefined;
  /** Posts that are expected. */
  posts: number;
  /** An event was handed to a client that was listening. */
  onEvent: (event: SeenEvent) => void;
  onTallies: () => void;
  /** A ping or a beacon: what comes without an event. */
  onBeat?: () => void;
  onBytes: (count: number) => void;
}

/** How a connection came to its end, or did not come about. */
export type Outcome = (reason: string | undefined) => void;

const PONG_PACKET = clientFrame('3');
/** All connections read into one buffer, one after the other: a buffer each would be most of what they cost. */
const sharedBuffer = Buffer.allocUnsafe(256 * 1024);
/** How long a handshake may take. Milliseconds. */
const HANDSHAKE_LIMIT = 30_000;
/** The server pings every ten seconds and waits ten more: a connection that is silent for longer is dead. */
const SILENCE_LIMIT = 25_000;

/**
 * One live client over a bare socket: Engine.IO 4 and Socket.IO 5 by hand. It keeps what it must check and nothing else,
 * and comes back with its position like a real one.
 */
export class FeedClient {
  readonly history: FeedHistory;
  readonly tallies: TallyHistory;
  readonly #around: LoaderContext;
  readonly #token: string;
  #socket: Socket | undefined;
  #frames: FrameReader | undefined;
  #head = '';
  #epoch: string | undefined;
  #settle: Outcome | undefined;
  #onLost: Outcome;
  #words: string | undefined;
  #heardAt = 0;

  /** @param onLost told why, when a connection that stood has ended */
  constructor(around: LoaderContext, token: string, onLost: Outcome) {
    this.#around = around;
    this.#token = token;
    this.#onLost = onLost;
    this.history = new FeedHistory((seq) => around.stream.events.has(seq));
    this.tallies = new TallyHistory(around.posts);
    if (!around.from) return;
    this.history.begin(around.from.seq);
    this.#epoch = around.from.epoch;
  }

  get connected(): boolean {
    return this.#socket !== undefined && this.#settle === undefined;
  }

  /** Connects; resolves with undefined once the server has said `ready`, else with why not. Never rejects. */
  connect(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#end('the handshake took longer than 30 s'), HANDSHAKE_LIMIT);
      this.#settle = (reason) => {
        clearTimeout(timer);
        this.#settle = undefined;
        resolve(reason);
      };
      this.#frames = new FrameReader();
      this.#head = '';
      this.#words = undefined;
      this.#open();
    });
  }

  /** Leaves without a word for good. */
  close(): void {
    this.#onLost = () => undefined;
    this.leave();
  }

  /** Leaves without a word, so that its port is free again at once; `connect` comes back with the position. */
  leave(): void {
    this.#socket?.resetAndDestroy();
    this.#end('closed');
  }

  /** Ends the connection if the server has said nothing for so long that it must be dead. */
  checkSilence(now: number): void {
    if (this.connected && now - this.#heardAt > SILENCE_LIMIT) this.#end('silent for 25 s');
  }

  #open(): void {
    const { url, localAddress } = this.#around;
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    const secure = url.protocol === 'https:';
    const port = Number(url.port === '' ? (secure ? 443 : 80) : url.port);
    let socket: Socket;
    if (secure) {
      socket = connectTls({ host, port, servername: host });
      socket.on('data', (chunk: Buffer) => this.#read(chunk));
    } else {
      socket = connectTcp({
        host,
        port,
        ...(localAddress === undefined ? {} : { localAddress }),
        onread: {
          buffer: sharedBuffer,
          callback: (count) => {
            this.#read(sharedBuffer.subarray(0, count));
            return true;
          },
        },
      });
    }
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.write(upgradeRequest(url));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#end(error.code ?? error.message));
    socket.on('close', () => {
      if (this.#socket === socket) this.#end(this.#words ?? 'the connection was closed');
    });
  }

  #end(reason: string): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.destroy();
    if (this.#settle) this.#settle(reason);
    else this.#onLost(reason);
  }

  #read(chunk: Buffer): void {
    this.#around.onBytes(chunk.length);
    this.#heardAt = Date.now();
    try {
      const frames = this.#head === 'done' ? chunk : this.#readHead(chunk);
      if (frames) this.#frames?.read(frames, (opcode, payload) => this.#frame(opcode, payload));
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  /** The answer to the upgrade; gives what follows it. */
  #readHead(chunk: Buffer): Buffer | undefined {
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const [status = ''] = this.#head.split('\r\n', 1);
    if (!status.startsWith('HTTP/1.1 101')) {
      const body = this.#head.slice(end + 4).trim();
      this.#end(`${status.replace('HTTP/1.1 ', '')} ${body}`.trim().slice(0, 120));
      return undefined;
    }
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
    this.#head = 'done';
    return rest;
  }

  #frame(opcode: number, payload: Buffer): void {
    if (opcode === CLOSE) this.#end(this.#words ?? 'the server closed the WebSocket');
    else if (opcode === PING) this.#socket?.write(clientFrame(payload, PONG));
    else if (payload[0] === 0x32) {
      this.#socket?.write(PONG_PACKET);
      this.#around.onBeat?.();
    } else if (payload[0] === 0x30) this.#introduce();
    else if (payload[0] === 0x34) this.#packet(payload);
    else if (payload[0] === 0x31) this.#end(this.#words ?? 'the server closed the session');
  }

  #introduce(): void {
    const auth = {
      token: this.#token,
      ...(this.#around.topics && { topics: this.#around.topics }),
      ...(this.history.begun ? { after: this.history.last, epoch: this.#epoch } : {}),
    };
    this.#socket?.write(clientFrame(`40${JSON.stringify(auth)}`));
  }

  #packet(payload: Buffer): void {
    const type = payload[1];
    if (type === 0x32) this.#event(payload.subarray(2));
    else if (type === 0x34) {
      const { data, message } = JSON.parse(payload.toString('utf8', 2)) as {
        data?: Problem;
        message: string;
      };
      this.#end(data ? `${data.status} ${data.detail}` : message);
    } else if (type === 0x31) this.#end(this.#words ?? 'the server ended the session');
  }

  #event(bytes: Buffer): void {
    if (startsWith(bytes, '["post:')) {
      const event = this.#around.stream.event(bytes);
      const begun = this.history.begun;
      if (begun) this.history.take(event.seq, positionAtEnd(bytes).prev);
      if (begun && !this.#settle) this.#around.onEvent(event);
    } else if (startsWith(bytes, '["notification')) {
      const { seq, prev } = positionAtEnd(bytes);
      if (this.history.begun) this.history.take(seq, prev);
    } else if (startsWith(bytes, '["votes"')) {
      this.tallies.take(this.#around.stream.tallies(bytes));
      this.#around.onTallies();
    } else if (startsWith(bytes, '["feed:head"')) {
      const { seq, prev } = positionAtEnd(bytes);
      this.history.moveOn(seq, prev);
      this.#around.onBeat?.();
    } else if (startsWith(bytes, '["ready"')) this.#ready(bytes);
    else if (startsWith(bytes, '["session:closed"')) {
      const [, { code }] = JSON.parse(bytes.toString()) as [string, { code: string }];
      this.#words = code;
    }
  }

  #ready(bytes: Buffer): void {
    const [, ready] = JSON.parse(bytes.toString()) as ['ready', Ready];
    if (!this.history.begun) this.history.begin(ready.seq);
    else if (ready.outcome === 'reset') {
      this.history.resets += 1;
      this.history.begin(ready.seq);
    } else if (this.#around.topics) this.history.moveOn(ready.seq, this.history.last);
    this.#epoch = ready.epoch;
    this.#settle?.(undefined);
  }
}

function startsWith(bytes: Buffer, text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (bytes[at] !== text.charCodeAt(at)) return false;
  return true;
}
