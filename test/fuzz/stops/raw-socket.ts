import { WebSocket } from 'ws';
import { HeldFrames } from '../../support/held-frames.ts';
import { endOf, type Pass } from './session.ts';

/** What a socket was told. Times are milliseconds since 1970. */
export interface Told {
  at: number;
  name: string;
  seq: number | undefined;
}

/** Frames of one socket that are held against the document. */
const HELD = 200;

/** A WebSocket by hand, which joins when it is told to and notes what it hears. */
export class RawSocket {
  readonly url: string;
  pass: Pass;
  /** When its handshake was sent; undefined: the connection stands and has not authenticated. */
  joinedAt: number | undefined;
  readyAt: number | undefined;
  refused: { at: number; status: number } | undefined;
  closed: { at: number; code: string } | undefined;
  closedAt: number | undefined;
  leftAt: number | undefined;
  pausedAt: number | undefined;
  /** What it was told that stands in the log. */
  readonly events: Told[] = [];
  /** What it was told that the AsyncAPI document does not know. */
  readonly faults: string[] = [];
  /** The pass that it has asked to continue with, until that has been answered. */
  renewing: Pass | undefined;
  #opened = false;
  #heard = 0;
  readonly #ws: WebSocket;
  readonly #held = new HeldFrames({ clientIsOurs: false, tell: (fault) => this.faults.push(fault) });

  constructor(url: string, pass: Pass) {
    this.url = url;
    this.pass = pass;
    this.#ws = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    this.#ws.on('error', () => undefined); // a close follows
    this.#ws.on('close', () => (this.closedAt = Date.now()));
    this.#ws.on('message', (data: Buffer) => this.#take(data.toString()));
  }

  /** Whether Engine.IO has said its first word. */
  get opened(): boolean {
    return this.#opened;
  }

  join(after?: number): void {
    this.joinedAt = Date.now();
    this.#say(`40${JSON.stringify({ token: this.pass.token, ...(after === undefined ? {} : { after }) })}`);
  }

  renew(pass: Pass): void {
    this.renewing = pass;
    this.#say(`427${JSON.stringify(['auth:renew', { token: pass.token }])}`);
  }

  leave(): void {
    this.leftAt ??= Date.now();
    this.#ws.terminate();
  }

  pause(): void {
    this.pausedAt ??= Date.now();
    this.#ws.pause();
  }

  #say(frame: string): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    this.#held.said(frame);
    this.#ws.send(frame);
  }

  #take(frame: string): void {
    const at = Date.now();
    // Of a long replay each message is like the one before.
    if ((this.#heard += 1) <= HELD) this.#held.heard(frame);
    if (frame === '2') this.#say('3');
    else if (frame.startsWith('0')) this.#opened = true;
    else if (frame.startsWith('44'))
      this.refused = {
        at,
        status: (JSON.parse(frame.slice(2)) as { data?: { status?: number } }).data?.status ?? 0,
      };
    else if (frame.startsWith('437[')) this.#renewed(frame);
    else if (frame.startsWith('42[')) {
      const [name, ...args] = JSON.parse(frame.slice(2)) as [string, ...{ seq?: number; code?: string }[]];
      if (name === 'ready') this.readyAt = at;
      else if (name === 'session:closed') this.closed = { at, code: args[0]?.code ?? '' };
      else if (name.startsWith('post:')) this.events.push({ at, name, seq: args[1]?.seq });
    }
  }

  #renewed(frame: string): void {
    const [answer] = JSON.parse(frame.slice(3)) as [{ ok: boolean }];
    // It continues with whichever of the two ends later, if both are of one session: the node has one of them.
    if (answer.ok && this.renewing) this.pass = this.renewing;
    this.renewing = undefined;
  }

  /** When what it may hear ends. */
  get end(): ReturnType<typeof endOf> {
    return endOf(this.pass);
  }
}
