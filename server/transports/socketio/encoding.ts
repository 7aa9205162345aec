import type { BatchView, ChainedEvent } from '../../delivery/batch.ts';
import type { ServiceMessages } from '../../protocol.ts';
import { textFrame } from '../../library-internals/text-frame.ts';
import type { LogEntry } from '../../log/reader.ts';

/** How many texts of messages that some socket had to queue are kept for others that have to queue them as well, and of how many characters in all. */
const MAX_TEXTS = 256;
const MAX_TEXTS_LENGTH = 4 * 1024 * 1024;
/** Oldest first. */
const texts = new Map<Encoded, string>();
let textsLength = 0;

/**
 * A message encoded once for any number of sockets: the Socket.IO packet (protocol 5, namespace `/`, no binary) in a
 * message of Engine.IO (type 4), in a WebSocket frame. Where the frame cannot be written, as to a client that polls,
 * Engine.IO is given the packet. An event is kept for replays as long as the node remembers it: its text is kept in its
 * frame, and once more only as long as it is being queued.
 */
export class Encoded {
  readonly frame: Buffer;
  /** What it costs in a queue, in bytes. */
  readonly size: number;

  constructor(packet: string) {
    const message = `4${packet}`;
    this.frame = textFrame(message);
    this.size = Buffer.byteLength(message);
  }

  get packet(): string {
    const known = texts.get(this);
    if (known !== undefined) return known;
    // Before it come the frame's header and the type of Engine.IO's packet.
    const text = this.frame.toString('utf8', this.frame.length - this.size + 1);
    texts.set(this, text);
    textsLength += text.length;
    for (const [oldest, { length }] of texts) {
      if (texts.size <= MAX_TEXTS && textsLength <= MAX_TEXTS_LENGTH) break;
      texts.delete(oldest);
      textsLength -= length;
    }
    return text;
  }
}

/**
 * Consecutive messages for many sockets. They leave in one write: system calls are the bottleneck, not bytes. Sockets
 * that begin at the same message share the joined frames.
 */
export class Run {
  readonly messages: readonly Encoded[];
  readonly #joined = new Map<number, Buffer>();

  constructor(messages: readonly Encoded[]) {
    this.messages = messages;
  }

  /** The frames of `from` up to, without, `to` in one piece. */
  bytes(from: number, to: number): Buffer {
    const key = from * (this.messages.length + 1) + to;
    let bytes = this.#joined.get(key);
    if (!bytes) this.#joined.set(key, (bytes = join(this.messages.slice(from, to))));
    return bytes;
  }
}

function join(messages: readonly Encoded[]): Buffer {
  const [only, ...more] = messages;
  return only && more.length === 0 ? only.frame : Buffer.concat(messages.map(({ frame }) => frame));
}

/** Any message to clients. */
export function encodeMessage<N extends keyof ServiceMessages>(
  name: N,
  ...args: Parameters<ServiceMessages[N]>
): Encoded {
  return new Encoded(`2${JSON.stringify([name, ...args])}`);
}

const shared = new WeakMap<object, Encoded>();

/** A message with one payload that is told to many: encoded once for each object. */
export function encodeShared<N extends 'feed:head' | 'feed:count'>(
  name: N,
  payload: Parameters<ServiceMessages[N]>[0],
): Encoded {
  let encoded = shared.get(payload);
  if (!encoded)
    shared.set(payload, (encoded = encodeMessage(name, ...([payload] as Parameters<ServiceMessages[N]>))));
  return encoded;
}

/** The messages of a view, for `BatchView.as`. */
export function framesOf(view: BatchView): Run {
  return new Run(view.events.map(encodeEvent));
}

const encodedEntries = new WeakMap<LogEntry, { prev: number; encoded: Encoded }>();

/**
 * An event of the log. Its payload is JSON text already and is not parsed on its way; encoded once for all whose chain has the
 * same event before it, which are all where everything is public, and for replays too.
 */
export function encodeEvent({ entry, prev }: ChainedEvent): Encoded {
  const known = encodedEntries.get(entry);
  if (known?.prev === prev) return known.encoded;
  const encoded = new Encoded(`2["${entry.name}",${entry.json},{"seq":${entry.seq},"prev":${prev}}]`);
  if (!known) encodedEntries.set(entry, { prev, encoded });
  return encoded;
}
