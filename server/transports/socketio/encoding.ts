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
  #joined: Map<number, Buffer> | undefined;

  constructor(messages: readonly Encoded[]) {
    this.messages = messages;
  }

  /** The frames of `from` up to, without, `to` in one piece. */
  bytes(from: number, to: number): Buffer {
    const only = to === from + 1 ? this.messages[from] : undefined;
    if (only) return only.frame;
    const joined = (this.#joined ??= new Map<number, Buffer>());
    const key = from * (this.messages.length + 1) + to;
    let bytes = joined.get(key);
    if (!bytes)
      joined.set(key, (bytes = Buffer.concat(this.messages.slice(from, to).map(({ frame }) => frame))));
    return bytes;
  }
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

/** The first form of each event in which it was encoded, which is that for everyone where everything is public. */
const encodedEntries = new WeakMap<LogEntry, { prev: number; encoded: Encoded }>();

/**
 * Other forms of events, by the one before it, for those who are handed the same in the same fan-out; and of how many
 * bytes.
 */
const MAX_OTHERS = 1000;
const MAX_OTHERS_SIZE = 4 * 1024 * 1024;
const others = new Map<LogEntry, Map<number, Encoded>>();
let othersCount = 0;
let othersSize = 0;

/**
 * An event of the log. Its payload is JSON text already and is not parsed on its way; encoded once for all whose chain has the
 * same event before it, which are all where everything is public, and for replays too.
 */
export function encodeEvent({ entry, prev }: ChainedEvent): Encoded {
  const known = encodedEntries.get(entry);
  if (known?.prev === prev) return known.encoded;
  if (!known) {
    const encoded = encodeAfter(entry, prev);
    encodedEntries.set(entry, { prev, encoded });
    return encoded;
  }
  const other = others.get(entry)?.get(prev);
  if (other) return other;
  const encoded = encodeAfter(entry, prev);
  if (othersCount >= MAX_OTHERS || othersSize >= MAX_OTHERS_SIZE) {
    others.clear();
    othersCount = 0;
    othersSize = 0;
  }
  const ofEntry = others.get(entry);
  if (ofEntry) ofEntry.set(prev, encoded);
  else others.set(entry, new Map([[prev, encoded]]));
  othersCount += 1;
  othersSize += encoded.size;
  return encoded;
}

function encodeAfter({ name, json, seq }: LogEntry, prev: number): Encoded {
  return new Encoded(`2["${name}",${json},{"seq":${seq},"prev":${prev}}]`);
}
