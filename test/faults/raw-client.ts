import { connect, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';

export interface RawClientOptions {
  port: number;
  token: string;
  after?: number;
  epoch?: string;
  /** `none`: nothing is ever read. `pings`: what comes is read only as far as an answer to a ping is due. A number: bytes a second. */
  reads: 'all' | 'none' | number;
}

/**
 * A client as small as can be, over TCP and by hand: it says the handshake of WebSocket, Engine.IO 4 and Socket.IO 5, and reads
 * as much as it is told to. Thousands of it fit into one process, and it can misbehave as no library does.
 */
export class RawClient {
  readonly #socket: Socket;
  readonly #options: RawClientOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #upgraded = false;
  /** The last seq that it was given; undefined before the first. */
  seq: number | undefined;
  epoch: string | undefined;
  readyAt: number | undefined;
  outcome: string | undefined;
  closedAt: number | undefined;
  /** Events that did not follow the one before. */
  gaps = 0;

  constructor(options: RawClientOptions) {
    this.#options = options;
    this.seq = options.after;
    this.#socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('error', () => undefined);
    this.#socket.once('close', () => {
      this.closedAt = Date.now();
      this.#forget();
    });
    this.#socket.write(
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    );
    this.#socket.on('data', (piece) => this.#read(piece));
  }

  /** Whether its TCP connection stands. */
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
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    if (!this.#upgraded) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#upgraded = true;
      this.#rest = this.#rest.subarray(end + 4);
    }
    for (let frame = frameOf(this.#rest); frame; frame = frameOf(this.#rest)) {
      this.#rest = this.#rest.subarray(frame.size);
      if (frame.opcode === 1) this.#packet(frame.text);
    }
  }

  #packet(text: string): void {
    if (text.startsWith('0')) {
      const { token, after, epoch } = this.#options;
      this.#send(`40${JSON.stringify({ token, ...(after === undefined ? {} : { after, epoch }) })}`);
    } else if (text === '2') this.#send('3');
    else if (text.startsWith('42["post:')) {
      const seq = Number(/\{"seq":(\d+)\}\]$/.exec(text)?.[1]);
      if (this.seq !== undefined && seq !== this.seq + 1) this.gaps += 1;
      this.seq = seq;
    } else if (text.startsWith('42["ready"')) {
      const [, ready] = JSON.parse(text.slice(2)) as [
        string,
        { seq: number; epoch: string; outcome: string },
      ];
      this.seq ??= ready.seq;
      this.epoch = ready.epoch;
      this.outcome = ready.outcome;
      this.readyAt = Date.now();
      this.#dawdle();
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
    const payload = Buffer.from(text);
    const mask = randomBytes(4);
    const header =
      payload.length < 126
        ? Buffer.from([0x81, 0x80 | payload.length])
        : Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 255]);
    for (let at = 0; at < payload.length; at += 1) payload[at] = (payload[at] ?? 0) ^ (mask[at % 4] ?? 0);
    this.#socket.write(Buffer.concat([header, mask, payload]));
  }
}

/** The first whole frame (RFC 6455, unmasked as servers send them); undefined if there is none yet. */
function frameOf(data: Buffer): { opcode: number; text: string; size: number } | undefined {
  if (data.length < 2) return undefined;
  const short = (data[1] ?? 0) & 127;
  const header = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (data.length < header) return undefined;
  const length =
    short === 126 ? data.readUInt16BE(2) : short === 127 ? Number(data.readBigUInt64BE(2)) : short;
  if (data.length < header + length) return undefined;
  return {
    opcode: (data[0] ?? 0) & 15,
    text: data.toString('utf8', header, header + length),
    size: header + length,
  };
}
