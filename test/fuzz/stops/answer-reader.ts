/** One event of a stream. Times are milliseconds since 1970. */
export interface StreamedEvent {
  at: number;
  id: string;
  event: string;
  data: string;
}

/** One answer of HTTP/1.1 as it came. */
export interface WireAnswer {
  status: number;
  /** By their names in lower case. */
  headers: ReadonlyMap<string, string>;
  headAt: number;
  /** Without that of a stream. */
  body: string;
  events: StreamedEvent[];
  /** When its last byte came; undefined if that has not come. */
  wholeAt: number | undefined;
}

const HEAD_END = '\r\n\r\n';
const LINE_END = '\r\n';
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e]*)$/;
const CHUNK_SIZE = /^[0-9A-Fa-f]{1,8}$/;
/** A block of our streams, an event of the log or one about the stream itself; heartbeats stand before it. */
const BLOCK = /^(?::\n)*(?:id: (.*)\n)?event: (.+)\ndata: (.+)$/;
const HEARTBEATS = /^(?::\n)*$/;

type Part = 'head' | 'sized' | 'until the end' | 'chunk size' | 'chunk' | 'chunk end' | 'trailer end';

/**
 * Reads the answers on one connection as strictly as they are defined (RFC 9112): a stray byte, a chunk that is too long, or
 * an event that is cut by the end of its answer is a fault.
 */
export class AnswerReader {
  readonly answers: WireAnswer[] = [];
  /** What is wrong with what came; nothing is read after it. */
  fault: string | undefined;
  readonly #hasBody: (at: number) => boolean;
  readonly #onAnswer: (answer: WireAnswer, at: number) => void;
  #rest: Buffer = Buffer.alloc(0);
  #part: Part = 'head';
  #left = 0;
  #text = '';

  /**
   * @param hasBody whether the answer with this number may have a body: that to a HEAD has none
   * @param onAnswer called when the last byte of one has come
   */
  constructor(hasBody: (at: number) => boolean, onAnswer: (answer: WireAnswer, at: number) => void) {
    this.#hasBody = hasBody;
    this.#onAnswer = onAnswer;
  }

  /** Whether an answer has begun and is not whole. */
  get isAmid(): boolean {
    return this.#part !== 'head' || this.#rest.length > 0;
  }

  read(bytes: Buffer, at: number): void {
    if (this.fault !== undefined) return;
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    while (this.fault === undefined && this.#step(at));
  }

  /** The server has closed the connection. */
  end(at: number): void {
    if (this.#part === 'until the end') this.#finish(at);
  }

  /** @returns whether there may be more to read */
  #step(at: number): boolean {
    switch (this.#part) {
      case 'head': {
        const head = this.#take(HEAD_END);
        if (head !== undefined) this.#begin(head, at);
        return head !== undefined;
      }
      case 'sized':
      case 'chunk':
      case 'until the end': {
        if (this.#rest.length === 0) return false;
        const piece = this.#rest.subarray(0, this.#left);
        this.#rest = this.#rest.subarray(piece.length);
        this.#left -= piece.length;
        this.#write(piece, at);
        if (this.#left > 0) return false;
        if (this.#part === 'sized') this.#finish(at);
        else this.#part = 'chunk end';
        return true;
      }
      case 'chunk end': {
        if (this.#rest.length < 2) return false;
        const end = this.#rest.subarray(0, 2).toString('latin1');
        this.#rest = this.#rest.subarray(2);
        if (end !== LINE_END) this.#fail('a chunk is longer than its size');
        this.#part = 'chunk size';
        return true;
      }
      case 'chunk size': {
        const line = this.#take(LINE_END);
        if (line === undefined) return false;
        if (!CHUNK_SIZE.test(line)) this.#fail(`a chunk of size ${JSON.stringify(line.slice(0, 40))}`);
        this.#left = parseInt(line, 16);
        this.#part = this.#left === 0 ? 'trailer end' : 'chunk';
        return true;
      }
      case 'trailer end': {
        const line = this.#take(LINE_END);
        if (line === undefined) return false;
        if (line !== '') this.#fail('there is a trailer');
        this.#finish(at);
        return true;
      }
    }
  }

  #begin(head: string, at: number): void {
    const [first = '', ...fields] = head.split(LINE_END);
    const status = Number(STATUS_LINE.exec(first)?.[1]);
    const headers = new Map<string, string>();
    for (const field of fields) {
      const [, name, value = ''] = FIELD.exec(field) ?? [];
      if (name === undefined) this.#fail(`a header field ${JSON.stringify(field.slice(0, 80))}`);
      else headers.set(name.toLowerCase(), value);
    }
    if (Number.isNaN(status)) {
      this.#fail(`an answer that begins with ${JSON.stringify(first.slice(0, 80))}`);
      return;
    }
    this.answers.push({ status, headers, headAt: at, body: '', events: [], wholeAt: undefined });
    const length = headers.get('content-length');
    const isBare = status === 204 || status === 304 || !this.#hasBody(this.answers.length - 1);
    if (isBare || length === '0') this.#finish(at);
    else if (length !== undefined) [this.#part, this.#left] = ['sized', Number(length)];
    else if (headers.get('transfer-encoding') === 'chunked') this.#part = 'chunk size';
    else [this.#part, this.#left] = ['until the end', Infinity];
  }

  #write(piece: Buffer, at: number): void {
    const answer = this.answers.at(-1);
    if (!answer) return;
    const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream') === true;
    // Latin 1 splits no character; what is compared in it is ASCII.
    if (!isStream) {
      answer.body += piece.toString('latin1');
      return;
    }
    const blocks = (this.#text + piece.toString('latin1')).split('\n\n');
    this.#text = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, id = '', event, data = ''] = BLOCK.exec(block) ?? [];
      if (event === undefined || !isJson(data)) this.#fail(`an event ${JSON.stringify(block.slice(0, 80))}`);
      else answer.events.push({ at, id, event, data });
    }
  }

  #finish(at: number): void {
    const answer = this.answers.at(-1);
    if (answer) answer.wholeAt = at;
    if (!HEARTBEATS.test(this.#text))
      this.#fail(`an event that was cut: ${JSON.stringify(this.#text.slice(-80))}`);
    this.#part = 'head';
    if (answer) this.#onAnswer(answer, this.answers.length - 1);
  }

  /** What stands before the next such end; undefined if that has not come yet. */
  #take(end: string): string | undefined {
    const at = this.#rest.indexOf(end);
    if (at < 0) return undefined;
    const text = this.#rest.subarray(0, at).toString('latin1');
    this.#rest = this.#rest.subarray(at + end.length);
    return text;
  }

  #fail(what: string): void {
    this.fault ??= what;
  }
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
