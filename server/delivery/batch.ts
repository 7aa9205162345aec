import type { Identity } from '../identity.ts';
import type { LogEntry } from '../log/reader.ts';
import type { Relations } from '../topics/relations.ts';
import { admits, audiencesOf, PUBLIC, type Reader } from '../topics/audience.ts';
import { hidesEvent } from '../topics/hidden.ts';

/** How a transport writes the events of a view; called once for each view, however many subscribers share it. */
export type Encode<E> = (view: BatchView) => E;

/** An event as a subscription receives it. */
export interface ChainedEvent {
  entry: LogEntry;
  /** Between this number and the event's own there is nothing for the subscription: the event before it in its chain. */
  prev: number;
}

/** What decides which of the public events somebody receives, and with which chain. */
export interface Viewer {
  identity: Pick<Identity, 'id'>;
  member: { relations: Pick<Relations, 'hides' | 'hidesNobody' | 'moderatesSince'> } | undefined;
  /** Everything up to here has been handed over, or is not for it. */
  seq: number;
  /** The last event before that in its chain. */
  told: number;
}

/** What the name, the position and the framing of an event add to its payload, whatever the transport. Bytes. */
const OVERHEAD = 100;

/** The events of a batch that a subscription receives, in order. */
export class BatchView {
  readonly epoch: string;
  readonly events: readonly ChainedEvent[];
  /** The position of a subscription after all of them: events after the last one are not for it. */
  readonly last: number;
  #encoded: Map<Encode<unknown>, unknown> | undefined;
  #sizes: number[] | undefined;

  /** @param prev the event before the first of these in the chain of the subscription */
  constructor(epoch: string, entries: readonly LogEntry[], prev: number, last: number) {
    this.epoch = epoch;
    this.last = last;
    let before = prev;
    this.events = entries.map((entry) => {
      const event = { entry, prev: before };
      before = entry.seq;
      return event;
    });
  }

  /** The index of the first event after a position; that after the last if there is none. */
  indexAfter(position: number): number {
    const { length } = this.events;
    const first = this.events[0]?.entry.seq ?? Infinity;
    if (position < first) return 0;
    // Where nothing is left out, the numbers have no gaps.
    if (this.events.at(-1)?.entry.seq === first + length - 1) return Math.min(length, position + 1 - first);
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.events[middle]?.entry.seq ?? Infinity) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The events in the form of one transport. */
  as<E>(encode: Encode<E>): E {
    const all = (this.#encoded ??= new Map());
    let encoded = all.get(encode) as E | undefined;
    if (encoded === undefined) all.set(encode, (encoded = encode(this)));
    return encoded;
  }

  /** What an event costs in a queue, about. Bytes; `Infinity` if there is no such event. */
  sizeOf(at: number): number {
    this.#sizes ??= this.events.map(({ entry }) => Buffer.byteLength(entry.json) + OVERHEAD);
    return this.#sizes[at] ?? Infinity;
  }
}

/**
 * Consecutive events of the log for many subscribers (a fan-out batch). Subscribers who may only receive public events
 * share one view, encoded once for all; a user for whom one of the events is meant has a separate view.
 */
export class Batch {
  readonly epoch: string;
  readonly entries: readonly LogEntry[];
  readonly #prev: number;
  /** The audiences of the events that are not public; undefined if all are. */
  readonly #audiences: ReadonlySet<string> | undefined;
  #publicView: BatchView | undefined;
  /** The same events for subscriptions whose chain has another event before them, by its number. */
  #chained: Map<number, BatchView> | undefined;

  /** @param prev the public event before these; without it, the one before in the log */
  constructor(epoch: string, entries: readonly LogEntry[], prev?: number) {
    this.epoch = epoch;
    this.entries = entries;
    this.#prev = prev ?? this.first - 1;
    const audiences = new Set<string>();
    for (const { audience } of entries) if (audience !== PUBLIC) audiences.add(audience);
    this.#audiences = audiences.size > 0 ? audiences : undefined;
  }

  /** The seq of the first event; 0 if there is none. */
  get first(): number {
    return this.entries[0]?.seq ?? 0;
  }

  /** The seq of the last event; below `first` if there is none. */
  get last(): number {
    return this.first + this.entries.length - 1;
  }

  /** The events that everyone receives. */
  get publicView(): BatchView {
    return (this.#publicView ??= this.#publicViewAfter(this.#prev));
  }

  /** The events that a user receives who has no topics. */
  viewOf({ identity, member, seq: position, told }: Viewer): BatchView {
    const reader = readerOf(identity, member);
    const hidden = this.#hiddenFrom(member);
    if (this.#hasOwn(reader) || hidden) {
      const entries = this.entries.filter((entry) => entry.seq > position && isFor(entry, reader, hidden));
      return new BatchView(this.epoch, entries, told, this.last);
    }
    const { events } = this.publicView;
    const next = events[this.publicView.indexAfter(position)];
    if (next === undefined || next.prev === told) return this.publicView;
    const chained = (this.#chained ??= new Map<number, BatchView>());
    let view = chained.get(told);
    if (!view) chained.set(told, (view = this.#publicViewAfter(told)));
    return view;
  }

  /** How many of its events a user receives who has no topics. */
  countFor({ identity, member }: Pick<Viewer, 'identity' | 'member'>): number {
    const reader = readerOf(identity, member);
    const hidden = this.#hiddenFrom(member);
    if (!this.#hasOwn(reader) && !hidden) return this.publicView.events.length;
    return this.entries.filter((entry) => isFor(entry, reader, hidden)).length;
  }

  /** The relations of a user from whom some event of it is hidden. */
  #hiddenFrom(member: Viewer['member']): Pick<Relations, 'hides'> | undefined {
    if (!member || member.relations.hidesNobody) return undefined;
    const { relations } = member;
    return this.entries.some((entry) => hidesEvent(relations, entry)) ? relations : undefined;
  }

  /** Whether some event of it is for an audience that a user belongs to. */
  #hasOwn(reader: Reader): boolean {
    const audiences = this.#audiences;
    return audiences !== undefined && audiencesOf(reader).some((audience) => audiences.has(audience));
  }

  #publicViewAfter(prev: number): BatchView {
    const entries = this.entries.filter(({ seq, audience }) => audience === PUBLIC && seq > prev);
    return new BatchView(this.epoch, entries, prev, this.last);
  }
}

function readerOf({ id }: Pick<Identity, 'id'>, member: Viewer['member']): Reader {
  return { id, moderatesSince: member?.relations.moderatesSince };
}

/** Whether an event is for a user without topics. */
function isFor(entry: LogEntry, reader: Reader, hidden: Pick<Relations, 'hides'> | undefined): boolean {
  return admits(entry, reader) && !(hidden && hidesEvent(hidden, entry));
}

/** Buffers of one view, so that subscribers who take the same events share the joined bytes. */
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
