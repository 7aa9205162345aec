import { connect, type Socket } from 'node:net';
import type { PublicChain } from '../../load/public-chain.ts';
import { clientFrame, FrameReader, TEXT, upgradeRequest } from '../../load/websocket-frames.ts';
import { HeldFrames } from '../support/held-frames.ts';

export interface RawClientOptions {
  port: number;
  token: string;
  after?: number;
  epoch?: string;
  /** `none`: nothing is ever read. `pings`: what comes is read only as far as an answer to a ping is due. A number: bytes a second. */
  reads: 'all' | 'none' | number;
  /** Shared by the clients of a run. */
  chain: PublicChain;
}

/**
 * A client as small as can be, over TCP and by hand: it says the handshake of WebSocket, Engine.IO 4 and Socket.IO 5, and reads
 * as much as it is told to. Thousands of it fit into one process, and it can misbehave as no library does.
 */
export class RawClient {
  readonly #socket: Socket;
  #port: number | undefined;
  readonly #options: RawClientOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #reader = new FrameReader();
  readonly #held = new HeldFrames({ clientIsOurs: true });
  /** The answer to the handshake, until it is whole. */
  #head: Buffer | undefined = Buffer.alloc(0);
  /** The last seq that it was given; undefined before the first. */
  seq: number | undefined;
  epoch: string | undefined;
  readyAt: number | undefined;
  outcome: string | undefined;
  closedAt: number | undefined;
  /** Events and heads that did not follow the one before. */
  gaps = 0;

  constructor(options: RawClientOptions) {
    this.#options = options;
    this.seq = options.after;
    this.#socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
    this.#socket.once('connect', () => (this.#port = this.#socket.localPort));
    this.#socket.on('error', () => undefined);
    this.#socket.once('close', () => {
      this.closedAt = Date.now();
      this.#forget();
    });
    this.#socket.write(upgradeRequest(new URL(`http://127.0.0.1:${options.port}`)));
    this.#socket.on('data', (piece) => this.#read(piece));
  }

  /** The port that its connection leaves from. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Whether its TCP connection stands, as far as it knows: who neither reads nor writes does not hear of its end. */
  get open(): boolean {
    return this.closedAt === undefined;
  }

  close(): void {
    this.#forget();
    this.#socket.destroy();
  }

  #forget(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #read(piece: Buffer): void {
    let frames = piece;
    if (this.#head) {
      this.#head = Buffer.concat([this.#head, piece]);
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      frames = this.#head.subarray(end + 4);
      this.#head = undefined;
    }
    this.#reader.read(frames, (opcode, payload) => {
      if (opcode === TEXT) this.#packet(payload.toString());
    });
  }

  #packet(text: string): void {
    this.#held.heard(text);
    if (text.startsWith('0')) {
      const { token, after, epoch } = this.#options;
      this.#send(`40${JSON.stringify({ token, ...(after === undefined ? {} : { after, epoch }) })}`);
    } else if (text === '2') this.#send('3');
    else if (text.startsWith('42["ready"')) {
      const [, ready] = JSON.parse(text.slice(2)) as [
        string,
        { seq: number; epoch: string; outcome: string },
      ];
      this.seq ??= ready.seq;
      this.epoch = ready.epoch;
      this.outcome = ready.outcome;
      this.readyAt = Date.now();
      this.#dawdle();
    } else {
      // Events for its user alone stand in the chain as those for everybody do, and the head moves the position.
      const [, seq, prev] = (/\{"seq":(\d+),"prev":(\d+)\}\]$/.exec(text) ?? []).map(Number);
      if (seq === undefined || prev === undefined) return;
      const isHead = text.startsWith('42["feed:head"');
      const isPublic = text.startsWith('42["post:');
      const position = this.seq ?? prev;
      // A head may be older than the position: it is the same for all, and an event for one user came in between.
      const isNext = prev <= position && (isHead || seq > position);
      if (!isNext || (isPublic && !this.#options.chain.admits(seq, prev))) this.gaps += 1;
      this.seq = isHead ? Math.max(position, seq) : seq;
    }
  }

  /** From its greeting on it reads no more than it was told to. */
  #dawdle(): void {
    const { reads } = this.#options;
    if (reads === 'all') return;
    this.#socket.pause();
    this.#socket.removeAllListeners('data');
    if (reads === 'none') return;
    this.#timers.push(
      setInterval(() => {
        this.#socket.read(reads / 10);
      }, 100),
    );
  }

  /** A pong that nobody asked for counts as life. */
  keepAnswering(): void {
    this.#timers.push(setInterval(() => this.#send('3'), 5000));
  }

  #send(text: string): void {
    if (!this.#socket.writable) return;
    this.#held.said(text);
    this.#socket.write(clientFrame(text));
  }
}
