import { connect, type Socket as TcpSocket } from 'node:net';
import { WebSocket } from 'ws';
import { HeldFrames } from './held-frames.ts';
import { until } from './waiting.ts';

/** An event as a raw client read it off the wire. */
export interface WireEvent {
  name: string;
  args: unknown[];
}

/** Headers of a WebSocket handshake. */
type Headers = Record<string, string>;

/** How long a connection may take when hundreds are opened at once on a busy machine. Milliseconds. */
const CROWDED = 30_000;

const open = new Set<RawClient>();

/** Ends whatever a test has left open, whether it passed or failed. */
export function endRawClients(): void {
  for (const client of open) client.terminate();
}

/** A bare WebSocket that speaks Engine.IO 4 and Socket.IO 5 by hand, so that it can break their rules. */
export class RawClient {
  readonly ws: WebSocket;
  /** Every text frame, as it came. */
  readonly frames: string[] = [];
  readonly events: WireEvent[] = [];
  /** Whether it answers pings. */
  polite = true;
  closed = false;
  closeCode: number | undefined;
  readonly #held = new HeldFrames({ clientIsOurs: false });

  constructor(url: string, headers: Headers = {}) {
    this.ws = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`, { headers });
    this.ws.on('message', (data: Buffer) => this.#take(data.toString()));
    this.ws.on('close', (code) => {
      this.closed = true;
      this.closeCode = code;
      open.delete(this);
    });
    this.ws.on('error', () => undefined); // a close follows
    open.add(this);
  }

  /** Opens a connection without a handshake of Socket.IO. */
  static async open(url: string, headers?: Headers): Promise<RawClient> {
    const client = new RawClient(url, headers);
    await until(
      'the connection',
      () => client.frames.some((frame) => frame.startsWith('0')) || client.closed,
      CROWDED,
    );
    return client;
  }

  /**
   * Opens a connection and joins the namespace; resolves when the server has said `ready`. A node that was too busy to read
   * the log says to come again, which is done.
   */
  static async join(url: string, auth: object): Promise<RawClient> {
    for (let attempt = 1; ; attempt += 1) {
      const client = await RawClient.open(url);
      client.send(`40${JSON.stringify(auth)}`);
      await until('ready', () => client.heard('ready').length > 0 || client.closed, CROWDED);
      if (client.heard('ready').length > 0 || !client.isToComeAgain || attempt === 5) return client;
    }
  }

  /** Whether the node was too busy to read the log, and has closed the connection for that. */
  get isToComeAgain(): boolean {
    const [closed] = this.heard('session:closed')[0] ?? [];
    const detail = (closed as { detail?: string } | undefined)?.detail;
    return detail?.startsWith('The log cannot be read') === true;
  }

  send(frame: string | Buffer): void {
    if (this.ws.readyState !== WebSocket.OPEN) return;
    this.#held.said(frame.toString());
    this.ws.send(frame);
  }

  /** Sends an event; with an id it asks for an acknowledgement. */
  emit(name: string, payload: unknown, id?: number): void {
    this.send(`42${id ?? ''}${JSON.stringify([name, payload])}`);
  }

  /** The arguments of every event of this name, in order of arrival. */
  heard(name: string): unknown[][] {
    return this.events.filter((event) => event.name === name).map((event) => event.args);
  }

  /** The seq of every event of the feed, in order of arrival. */
  seqs(): number[] {
    return this.events
      .filter((event) => event.name.startsWith('post:'))
      .map((event) => (event.args[1] as { seq: number }).seq);
  }

  /** The acknowledgement with this id, once it has come. */
  async acknowledged(id: number): Promise<unknown> {
    const start = `43${id}[`;
    const isThere = () => this.frames.some((frame) => frame.startsWith(start));
    await until(`acknowledgement ${id}`, isThere);
    const frame = this.frames.find((text) => text.startsWith(start));
    return (JSON.parse(frame!.slice(start.length - 1)) as unknown[])[0];
  }

  /** Stops reading: the kernel's buffers fill, and then the server's. */
  pause(): void {
    this.ws.pause();
  }

  resume(): void {
    this.ws.resume();
  }

  /** Ends the TCP connection without a word. */
  terminate(): void {
    this.ws.terminate();
  }

  #take(frame: string): void {
    this.frames.push(frame);
    this.#held.heard(frame);
    if (frame === '2') {
      if (this.polite) this.send('3');
    } else if (frame.startsWith('42')) {
      const [name, ...args] = JSON.parse(frame.slice(frame.indexOf('['))) as [string, ...unknown[]];
      this.events.push({ name, args });
    }
  }
}

/** A TCP connection upgraded to a WebSocket by hand, which then never answers anything, not even a closing frame. */
export function openMute(url: string): Promise<{ tcp: TcpSocket; closed: () => boolean }> {
  const { hostname, port } = new URL(url);
  const tcp = connect(Number(port), hostname);
  let closed = false;
  tcp.on('close', () => (closed = true)).on('error', () => undefined);
  tcp.write(
    `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\n` +
      'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  return new Promise((resolve, reject) => {
    tcp.once('error', reject);
    tcp.once('data', () => resolve({ tcp, closed: () => closed }));
  });
}
