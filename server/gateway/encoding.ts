import * as ws from 'ws';
import type { BatchView, ChainedEvent } from '../delivery/batch.ts';
import type { ServerToClient } from '../events.ts';
import type { LogEntry } from '../outbox/log.ts';

/**
 * A message encoded once for however many sockets: the Socket.IO packet (protocol 5, namespace `/`, no binary) and the
 * WebSocket frame around it. For a socket that cannot take the frame (long-polling) Engine.IO encodes the packet.
 */
export interface Encoded {
  packet: string;
  /** Header and payload in one piece; undefined if this version of ws cannot be asked for them: then Engine.IO frames the packet. */
  frame: [Buffer] | undefined;
  /** What it costs in a queue, in bytes. */
  size: number;
}

// Untyped in ws, and used by Socket.IO's own adapter alike; test/gateway-internals pins it.
const { Sender } = ws as unknown as { Sender?: { frame?(data: Buffer, options: object): Buffer[] } };

function encodePacket(packet: string): Encoded {
  const data = Buffer.from(`4${packet}`);
  const parts = Sender?.frame?.(data, {
    readOnly: false,
    mask: false,
    rsv1: false,
    opcode: 1,
    fin: true,
  });
  return parts ? new Framed(alone(parts), data.length) : { packet, frame: undefined, size: data.length };
}

/** How many texts of messages that some socket had to queue are kept for others that have to queue them as well, and of how many characters in all. */
const MAX_TEXTS = 256;
const MAX_TEXTS_LENGTH = 4 * 1024 * 1024;
/** Oldest first. */
const texts = new Map<Framed, string>();
let textsLength = 0;

/** An event is kept for replays as long as the node remembers it: its text is kept in its frame, and once more only as long as it is being queued. */
class Framed implements Encoded {
  readonly frame: [Buffer];
  readonly size: number;

  constructor(frame: Buffer, size: number) {
    this.frame = [frame];
    this.size = size;
  }

  get packet(): string {
    const known = texts.get(this);
    if (known !== undefined) return known;
    const [frame] = this.frame;
    // Before it come the frame's header and the type of Engine.IO's packet.
    const text = frame.toString('utf8', frame.length - this.size + 1);
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

/** In one piece, and in memory of its own: a slice of Node's shared 8 kB would keep all of it from being freed. */
function alone(parts: Buffer[]): Buffer {
  const whole = Buffer.allocUnsafeSlow(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) at += part.copy(whole, at);
  return whole;
}

/**
 * Messages that follow each other, to be written to many sockets. What falls together leaves in one write: the limit is
 * the system call, not the bytes. Sockets that begin at the same message share the joined frames.
 */
export class Run {
  readonly messages: readonly Encoded[];
  readonly #joined = new Map<number, Buffer | undefined>();

  constructor(messages: readonly Encoded[]) {
    this.messages = messages;
  }

  /** The frames of `from` up to, without, `to` in one piece; undefined if one of them has no frame. */
  bytes(from: number, to: number): Buffer | undefined {
    const key = from * (this.messages.length + 1) + to;
    if (!this.#joined.has(key)) this.#joined.set(key, join(this.messages.slice(from, to)));
    return this.#joined.get(key);
  }
}

function join(messages: readonly Encoded[]): Buffer | undefined {
  const [only, ...more] = messages;
  if (more.length === 0) return only?.frame?.[0];
  const frames = messages.flatMap((message) => message.frame ?? []);
  return frames.length === messages.length ? Buffer.concat(frames) : undefined;
}

/** Any message to clients. */
export function encodeMessage<N extends keyof ServerToClient>(
  name: N,
  ...args: Parameters<ServerToClient[N]>
): Encoded {
  return encodePacket(`2${JSON.stringify([name, ...args])}`);
}

const shared = new WeakMap<object, Encoded>();

/** A message with one payload that is told to many: encoded once for each object. */
export function encodeShared<N extends 'feed:head' | 'feed:count'>(
  name: N,
  payload: Parameters<ServerToClient[N]>[0],
): Encoded {
  let encoded = shared.get(payload);
  if (!encoded)
    shared.set(payload, (encoded = encodeMessage(name, ...([payload] as Parameters<ServerToClient[N]>))));
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
  const encoded = encodePacket(`2["${entry.name}",${entry.json},{"seq":${entry.seq},"prev":${prev}}]`);
  if (!known) encodedEntries.set(entry, { prev, encoded });
  return encoded;
}
