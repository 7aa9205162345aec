import type { Response } from 'express';
import { isWritable, whenOver } from '../async/response-end.ts';

/** Why nothing more can be written: its client has left, or has read nothing for too long. */
class StreamOver extends Error {
  override readonly name = 'StreamOver';
  readonly reason: 'left' | 'unread';

  constructor(reason: 'left' | 'unread') {
    super(reason === 'left' ? 'the client has left' : 'the client has not read for too long');
    this.reason = reason;
  }
}

/** What is written at once, and so what waits unread at most. Bytes. */
const PART = 64 * 1024;

/**
 * An object as one line of JSON, for every reader: Node's `readline` from 24 on, and Python's `splitlines`, end a line at
 * these characters too, which JSON leaves as they are.
 */
const toLine = (line: object) =>
  `${JSON.stringify(line).replace(/[\u0085\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;

/**
 * An answer of JSON lines that is written as fast as its client reads: a part is written when the part before it has left.
 * The backpressure of TCP bounds what waits, and a time limit how long.
 */
export class LineStream {
  readonly #res: Response;
  readonly #timeLimit: number;
  #text = '';
  #wake: () => void = () => undefined;

  /** @param timeLimit how long a part may stay unread. Milliseconds */
  constructor(res: Response, timeLimit: number) {
    this.#res = res;
    this.#timeLimit = timeLimit;
    whenOver(res, () => this.#wake());
    res.on('drain', () => this.#wake());
  }

  /** Sends the head: from here on only the end of the connection can say that something has failed. */
  begin(headers: Record<string, string>): void {
    this.#res.status(200).set(headers);
    this.#res.flushHeaders();
  }

  /** Adds a line. @throws {StreamOver} */
  async write(line: object): Promise<void> {
    this.#text += toLine(line);
    if (this.#text.length >= PART) await this.#flush();
  }

  /** Sends the last part. @throws {StreamOver} */
  async end(): Promise<void> {
    await this.#flush();
    this.#res.end();
  }

  /** Ends the connection in the middle, so that the client sees that the answer is not whole. */
  cutOff(): void {
    if (!this.#res.writableFinished) this.#res.req.socket.destroy();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    // The last line may be longer than a part.
    for (let from = 0; from < bytes.length; from += PART) await this.#send(bytes.subarray(from, from + PART));
  }

  async #send(part: Buffer): Promise<void> {
    if (!isWritable(this.#res)) throw new StreamOver('left');
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#res.write(part)) return;
    const timer = setTimeout(() => this.#wake(), this.#timeLimit);
    await woken;
    clearTimeout(timer);
    if (!isWritable(this.#res)) throw new StreamOver('left');
    if (this.#res.writableNeedDrain) throw new StreamOver('unread');
  }
}
