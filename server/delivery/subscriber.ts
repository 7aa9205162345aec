import type { Connection } from './connections.ts';
import type { Identity } from '../identity.ts';
import type { FeedMode, Position, Ready, SessionCloseCode } from '../protocol.ts';
import { sendersAt } from '../queues/senders.ts';
import type { Subscription } from '../topics/subscription.ts';
import type { Batch, BatchView } from './batch.ts';
import type { Member } from './relation-memory.ts';

/** Backpressure: beyond this a subscriber is fed no further until it has read; it leaves the live set and catches up later. Bytes. */
export const SOFT_MARK = 64 * 1024;
/** Beyond this it is ended at once. Bytes. */
export const HARD_MARK = 256 * 1024;
/** As far as a page fills its queue: what else it is sent still has room under the hard mark. Bytes. */
const PAGE_MARK = 160 * 1024;

/** The outcome of a resume: the position of the subscriber, or why it could not be served. */
export type Greeting = Omit<Ready, 'user_id' | 'protocol'>;

/** Nothing waits for it. */
export const NOTHING_QUEUED: number[] = [];

/** A client of the feed on one connection, over any transport. Only `Delivery` writes to it. */
export abstract class FeedSubscriber implements Connection {
  identity: Identity;
  /** Where it is connected from, as connections are counted. */
  readonly address: string;
  noticeAt = Infinity;
  /** Whether nobody has connected for it, so that it counts in no metric of clients. */
  readonly withoutSession: boolean = false;
  feed: FeedMode;
  /** Its topics; undefined if it receives everything public. Another one takes its place. */
  subscription: Subscription | undefined;
  /** Its user, with the relations that it goes by; undefined before it has entered. */
  member: Member<FeedSubscriber> | undefined;
  /**
   * Its position: events up to here have been delivered, are not for it, or need not be delivered. While it has topics
   * and is in the live set its position is further, as `LiveSet.positionOf` has it.
   */
  seq = 0;
  /** The last event of its chain: the last that it was handed, or where it began. */
  told = 0;
  /**
   * Of one with topics in the live set: the events for it that it has not been handed, by their numbers; negative where
   * it is handed a departure.
   */
  queued = NOTHING_QUEUED;
  /** Of one with topics: whether it is in the index of who receives what. */
  indexed = false;
  /** Of one with topics: the last event that was found to be for it. */
  found = 0;
  /** How many changes of its topics are being made: it is handed nothing meanwhile. */
  held = 0;
  /** In mode `count`: events since the last `feed:count`. */
  uncounted = 0;
  /** Whether `greet` has been called. */
  greeted = false;
  /** Whether it changed its mode before `ready` was sent: then missed events are not replayed. */
  switched = false;
  /** Whether a loop of its own is bringing it up to date. */
  catchingUp = false;
  /** When it was last handed an event, in milliseconds since 1970. */
  heardAt = 0;
  /** Since when its unread data exceed the soft mark; in milliseconds since 1970. */
  slowSince: number | undefined;
  /** Nothing is written to it any more. */
  ended = false;

  constructor(identity: Identity, address: string, subscription?: Subscription, feed: FeedMode = 'live') {
    this.identity = identity;
    this.address = address;
    this.subscription = subscription;
    this.feed = feed;
  }

  /** Whom what is done for it counts for, wherever it takes turns with others. */
  get senders(): readonly string[] {
    return sendersAt(this.address, this.identity.id);
  }

  /** Whether the transport still stands and may be written to. */
  abstract get open(): boolean;

  /** How many more events it takes before it ends. */
  get room(): number {
    return Infinity;
  }

  /** Unread data of this client. Bytes. */
  abstract get pending(): number;

  /** It has everything up to here, and the event of this number, if it is for it, is the last of its chain. */
  standAt(seq: number): void {
    this.seq = seq;
    this.told = seq;
  }

  /**
   * Hands over the events of a view from index `from` up to, without, `to`.
   * @returns how many it took: all of them, unless the transport carries a limited number
   */
  abstract writeEvents(view: BatchView, from: number, to: number): number;

  /** It has caught up, or its position cannot be served. Called once, after the missed events and before the first live one. */
  abstract greet(greeting: Greeting): void;

  /** The head of the feed, for a subscriber without a recent event. The same object for all that get the same. */
  abstract writeHead(head: Position): void;

  /** Whether the client sees the position that a head moves it to, so that the next event may name it. */
  abstract get seesHeads(): boolean;

  /** What has been handed over and not been sent must not be sent any more where it is of this author. */
  abstract takeBack(authorId: number): void;

  /** In mode `count`: how many events have passed. The same object for all that get the same. */
  abstract writeCount(news: { count: number; seq: number }): void;

  /** Ends it with a reason. Nothing is written to it once this has returned. */
  abstract end(code: SessionCloseCode, detail: string): void;

  /** Ends its connection, whatever is still to be written. */
  abstract terminate(): void;
}

/**
 * Writes the events that follow a subscriber's position and are meant for it, in order, until its queue is full. Moves its
 * position on, over what is not for it as well.
 * @returns how many
 */
export function writePage(subscriber: FeedSubscriber, batch: Batch): number {
  const { seq } = subscriber;
  // It came in behind some of them, or a hole lies before them: then it is not for this page to fill.
  if (seq + 1 < batch.first || seq >= batch.last || !subscriber.open) return 0;
  return writeView(subscriber, batch.viewOf(subscriber));
}

/** As `writePage`, of the events of a view. */
export function writeView(subscriber: FeedSubscriber, view: BatchView): number {
  const { seq } = subscriber;
  const { length } = view.events;
  const from = view.indexAfter(seq);
  let room = PAGE_MARK - subscriber.pending;
  let to = from;
  for (; to < length; to += 1) {
    const size = view.sizeOf(to);
    if (size > room && to > from) break;
    room -= size;
  }
  const taken = to > from ? subscriber.writeEvents(view, from, to) : 0;
  if (taken > 0) subscriber.standAt(view.events[from + taken - 1]?.entry.seq ?? seq);
  if (from + taken === length) subscriber.seq = view.last;
  return taken;
}
