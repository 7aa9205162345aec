import type { LogEntry } from '../outbox/log.ts';

/** How a transport writes consecutive events; called once for each batch, however many subscribers take it. */
export type Encode<E> = (batch: Batch) => E;

/** The event before one in a feed from which nothing is left out. The numbers of the log have no gaps. */
export function previousOf({ seq }: LogEntry): number {
  return seq - 1;
}

/** What the name, the position and the framing of an event add to its payload, whatever the transport. Bytes. */
const OVERHEAD = 100;

/** Events that follow each other in the log, on their way to many subscribers. */
export class Batch {
  readonly epoch: string;
  readonly entries: readonly LogEntry[];
  #encoded: Map<Encode<unknown>, unknown> | undefined;
  #sizes: number[] | undefined;

  constructor(epoch: string, entries: readonly LogEntry[]) {
    this.epoch = epoch;
    this.entries = entries;
  }

  /** The seq of the first event; 0 if there is none. */
  get first(): number {
    return this.entries[0]?.seq ?? 0;
  }

  /** The seq of the last event; below `first` if there is none. */
  get last(): number {
    return this.first + this.entries.length - 1;
  }

  /** The batch in the form of one transport. */
  as<E>(encode: Encode<E>): E {
    const all = (this.#encoded ??= new Map());
    let encoded = all.get(encode) as E | undefined;
    if (encoded === undefined) all.set(encode, (encoded = encode(this)));
    return encoded;
  }

  /** What an event costs in a queue, about. Bytes; `Infinity` if there is no such event. */
  sizeOf(at: number): number {
    this.#sizes ??= this.entries.map(({ json }) => Buffer.byteLength(json) + OVERHEAD);
    return this.#sizes[at] ?? Infinity;
  }
}

/** Buffers of one batch, so that subscribers who take the same events share the joined bytes. */
export class JoinedBuffers {
  readonly #parts: readonly Buffer[];
  readonly #joined = new Map<number, Buffer>();

  constructor(parts: readonly Buffer[]) {
    this.#parts = parts;
  }

  /** The parts of `from` up to, without, `to` in one piece. */
  between(from: number, to: number): Buffer {
    const key = from * (this.#parts.length + 1) + to;
    let joined = this.#joined.get(key);
    if (!joined) this.#joined.set(key, (joined = Buffer.concat(this.#parts.slice(from, to))));
    return joined;
  }
}
