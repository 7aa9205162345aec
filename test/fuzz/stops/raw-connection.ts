import { connect, type Socket } from 'node:net';
import { requestBytes } from '../../support/wire.ts';
import { AnswerReader, type WireAnswer } from './answer-reader.ts';
import type { Pass } from './session.ts';

/** What is asked for: a stream, a request that waits for an event, one that does not, a page of posts. */
export type Asking = 'stream' | 'poll' | 'read' | 'list';

/** One request, and its answer as far as that has come. */
export interface Asked {
  kind: Asking;
  path: string;
  method: 'GET' | 'HEAD';
  pass: Pass;
  /** When its last byte was written; undefined as long as a part of it is missing. */
  sentAt: number | undefined;
  answer: WireAnswer | undefined;
}

/** A TCP connection on which requests are written by hand: pipelined, in pieces, or one after the other. */
export class RawConnection {
  readonly tcp: Socket;
  readonly asked: Asked[] = [];
  readonly reader: AnswerReader;
  /** The address of the node. */
  readonly url: string;
  connected = false;
  closedAt: number | undefined;
  /** When we ourselves ended it, or stopped to read: what is missing since then is no fault of the node's. */
  leftAt: number | undefined;
  pausedAt: number | undefined;
  /** Called when an answer has come whole. */
  onAnswer: (answer: WireAnswer) => void = () => undefined;
  #missing = '';

  constructor(url: string) {
    this.url = url;
    const { hostname, port } = new URL(url);
    this.reader = new AnswerReader(
      (at) => this.asked[at]?.method !== 'HEAD',
      (answer) => this.onAnswer(answer),
    );
    this.tcp = connect(Number(port), hostname);
    this.tcp.setNoDelay(true);
    this.tcp.on('connect', () => (this.connected = true));
    this.tcp.on('data', (bytes) => {
      this.reader.read(bytes, Date.now());
      this.#match();
    });
    this.tcp.on('end', () => this.reader.end(Date.now()));
    this.tcp.on('error', () => undefined); // a close follows
    this.tcp.on('close', () => (this.closedAt = Date.now()));
  }

  /** Whether another request may be written. */
  get open(): boolean {
    return this.closedAt === undefined && this.leftAt === undefined && this.#missing === '';
  }

  /** Writes requests in one piece; of the last only this share of its bytes, and the rest with `sendRest`. */
  send(requests: readonly Omit<Asked, 'sentAt' | 'answer'>[], share = 1): void {
    const texts = requests.map(({ path, pass, method }) => requestBytes(path, pass.token, method));
    const last = texts.at(-1) ?? '';
    const cut = share < 1 ? Math.floor(last.length * share) : last.length;
    this.#missing = last.slice(cut);
    this.tcp.write(texts.slice(0, -1).join('') + last.slice(0, cut));
    const sentAt = Date.now();
    for (const [at, request] of requests.entries()) {
      const isPart = at === requests.length - 1 && share < 1;
      this.asked.push({ ...request, sentAt: isPart ? undefined : sentAt, answer: undefined });
    }
  }

  sendRest(): void {
    const asked = this.asked.at(-1);
    if (this.#missing === '' || !asked || this.closedAt !== undefined || this.leftAt !== undefined) return;
    this.tcp.write(this.#missing);
    this.#missing = '';
    asked.sentAt = Date.now();
  }

  /** Ends it without a word (`abort`), or says that nothing more will be sent (`end`). */
  leave(how: 'abort' | 'reset' | 'end'): void {
    if (this.leftAt !== undefined) return;
    this.leftAt = Date.now();
    if (how === 'end') this.tcp.end();
    else if (how === 'reset') this.tcp.resetAndDestroy();
    else this.tcp.destroy();
  }

  pause(): void {
    this.pausedAt ??= Date.now();
    this.tcp.pause();
  }

  resume(): void {
    this.tcp.resume();
  }

  #match(): void {
    for (const [at, answer] of this.reader.answers.entries()) {
      const asked = this.asked[at];
      if (asked) asked.answer = answer;
      else this.reader.fault ??= `an answer that nobody asked for: ${answer.status}`;
    }
  }
}
