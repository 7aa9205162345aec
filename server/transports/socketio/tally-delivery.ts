import type { Tally } from '../../protocol.ts';
import { SOFT_MARK } from '../../delivery/subscriber.ts';
import type { TimeSlices } from '../../delivery/time-slices.ts';
import type { MissedTallies } from '../../counters/missed-tallies.ts';
import type { Metrics } from '../../ops/metrics.ts';
import type { Logger } from '../../logger.ts';
import { type Encoded, encodeMessage } from './encoding.ts';
import type { EndSubscriber, Subscriber } from './subscriber.ts';

/** Tallies in one message. */
const TALLIES_PER_FRAME = 500;
/** Maximum number of tallies kept for a slow socket. */
const MAX_HELD = 5000;
/** Said where more tallies have changed than are sent one by one. */
const INCOMPLETE = encodeMessage('votes', [], { incomplete: true });
/** How often slow sockets are checked again. Milliseconds. */
const HELD_INTERVAL = 100;

export interface TallyDeliveryOptions {
  /** Tallies that a client at this position may not have heard. The same array for all who ask together. */
  missedTallies: MissedTallies['since'];
  slices: TimeSlices;
  metrics: Metrics;
  log: Logger;
  end: EndSubscriber;
}

/**
 * Hands the tallies of posts to the node's sockets: to those that want all, and of each post to those that track it. They
 * have no order and no position; the newest `rev` of a post stands for all before it, so for a socket that does not read
 * only that one is kept.
 */
export class TallyDelivery {
  readonly #options: TallyDeliveryOptions;
  readonly #all = new Set<Subscriber>();
  readonly #trackers = new Map<number, Set<Subscriber>>();
  readonly #held = new Set<Subscriber>();
  /** Those of the held that are still to be told that more tallies have changed than are sent one by one. */
  readonly #heldIncomplete = new Set<Subscriber>();
  /** What is being told; one after the other, as the board hands it over. */
  #telling: readonly Tally[] | undefined;
  #flushing: NodeJS.Timeout | undefined;

  constructor(options: TallyDeliveryOptions) {
    this.#options = options;
  }

  start(): void {
    this.#flushing = setInterval(() => this.#flushHeld(), HELD_INTERVAL);
  }

  stop(): void {
    clearInterval(this.#flushing);
  }

  /** Takes a socket in, with what it wants to hear. */
  admit(subscriber: Subscriber): void {
    if (subscriber.tallies === 'all') this.#all.add(subscriber);
  }

  /** Forgets a socket. Nothing is written to it after this has returned. */
  remove(subscriber: Subscriber): void {
    this.#all.delete(subscriber);
    this.#held.delete(subscriber);
    this.#heldIncomplete.delete(subscriber);
    this.untrack(subscriber, [...(subscriber.tracked?.keys() ?? [])]);
  }

  /**
   * Tracks posts before they are looked up, so that no change between the two is missed; `retain` keeps those that there are.
   * @param request whose posts they are until then, if nobody else has found them
   */
  track(subscriber: Subscriber, postIds: Iterable<number>, request: object): void {
    const tracked = (subscriber.tracked ??= new Map());
    for (const postId of postIds) {
      if (tracked.has(postId) && tracked.get(postId) === undefined) continue;
      tracked.set(postId, request);
      // Only in this mode it hears of them.
      if (subscriber.tallies !== 'tracked') continue;
      const trackers = this.#trackers.get(postId);
      if (trackers) trackers.add(subscriber);
      else this.#trackers.set(postId, new Set([subscriber]));
    }
  }

  /**
   * Ends a request to track: what it found is tracked for good, what it named and did not find is forgotten, unless another
   * request has named it since, or found it.
   */
  retain(subscriber: Subscriber, postIds: Iterable<number>, request: object, found: readonly Tally[]): void {
    const { tracked } = subscriber;
    if (!tracked) return;
    for (const { post_id } of found) if (tracked.has(post_id)) tracked.set(post_id, undefined);
    const missing: number[] = [];
    for (const postId of postIds) if (tracked.get(postId) === request) missing.push(postId);
    this.untrack(subscriber, missing);
  }

  untrack(subscriber: Subscriber, postIds: Iterable<number>): void {
    for (const postId of postIds) {
      subscriber.tracked?.delete(postId);
      const trackers = this.#trackers.get(postId);
      trackers?.delete(subscriber);
      if (trackers?.size === 0) this.#trackers.delete(postId);
    }
  }

  /** The posts that some socket of this node tracks. */
  get trackedPosts(): Iterable<number> {
    return this.#trackers.keys();
  }

  /**
   * Writes the tallies of one window to anyone who wants them.
   * @param incomplete whether more tallies have changed than are sent one by one: those who want all are told so
   * @returns how long it worked, in milliseconds; it resolves when all have been written to
   */
  async deliver(tallies: readonly Tally[], incomplete: boolean): Promise<number> {
    this.#telling = tallies;
    const frames = tallyFrames(tallies);
    const worked = await this.#options.slices.each(this.#all, (subscriber) => {
      if (this.#telling !== tallies) return;
      for (const { slice, frame } of frames) this.#write(subscriber, slice, frame);
      if (incomplete) this.#writeIncomplete(subscriber);
    });
    const wanted = new Map<Subscriber, Tally[]>();
    const gathered = await this.#options.slices.each(this.#tracked(tallies), ([subscriber, tally]) => {
      const own = wanted.get(subscriber);
      if (own) own.push(tally);
      else wanted.set(subscriber, [tally]);
    });
    return (
      worked +
      gathered +
      (await this.#options.slices.each(wanted, ([subscriber, found]) => {
        if (this.#telling !== tallies) return;
        // What it has let go of since then it was promised not to hear of.
        const own = found.filter(({ post_id }) => subscriber.tracked?.has(post_id));
        if (own.length > 0) this.#write(subscriber, own, encodeMessage('votes', own));
      }))
    );
  }

  /** Who tracks which of these. */
  *#tracked(tallies: readonly Tally[]): Generator<[Subscriber, Tally], void> {
    for (const tally of tallies)
      for (const subscriber of this.#trackers.get(tally.post_id) ?? []) yield [subscriber, tally];
  }

  /** The database is another one: what is being told of the old one is nothing to sockets that come now. */
  forget(): void {
    this.#telling = undefined;
  }

  /** A client that resumes and receives all tallies gets those that it missed; after a failure it gets them later. */
  async tellMissed(subscriber: Subscriber, after: number): Promise<void> {
    if (subscriber.tallies !== 'all') return;
    const { tallies, incomplete } = await this.#options.missedTallies(after).catch((error: unknown) => {
      this.#options.log.debug({ err: error }, 'missed tallies could not be read');
      return { tallies: [], incomplete: true };
    });
    if (!subscriber.open) return;
    for (const { slice, frame } of tallyFrames(tallies)) this.#write(subscriber, slice, frame);
    if (incomplete) this.#writeIncomplete(subscriber);
  }

  #writeIncomplete(subscriber: Subscriber): void {
    if (!subscriber.open) return;
    if (this.#mayWrite(subscriber)) {
      subscriber.write(INCOMPLETE);
      this.#options.metrics.tallyFrames.inc();
      return;
    }
    this.#held.add(subscriber);
    this.#heldIncomplete.add(subscriber);
  }

  #mayWrite(subscriber: Subscriber): boolean {
    return subscriber.greeted && !subscriber.heldTallies && subscriber.pending < SOFT_MARK;
  }

  /** Before `ready`, and while a socket is slow, only the newest tally of each post is kept for it. */
  #write(subscriber: Subscriber, tallies: readonly Tally[], frame: Encoded): void {
    // An earlier part of the same tallies may have been too much for it, and nobody would take it out a second time.
    if (!subscriber.open) return;
    if (this.#mayWrite(subscriber)) {
      subscriber.write(frame);
      this.#options.metrics.tallyFrames.inc();
      return;
    }
    const held = (subscriber.heldTallies ??= new Map<number, Tally>());
    this.#held.add(subscriber);
    for (const tally of tallies) {
      const known = held.get(tally.post_id);
      if (!known || known.rev < tally.rev) held.set(tally.post_id, tally);
    }
    if (held.size > MAX_HELD)
      this.#options.end(subscriber, 'slow_consumer', 'The connection does not keep up with the tallies.');
  }

  #flushHeld(): void {
    for (const subscriber of this.#held) {
      if (!subscriber.greeted || subscriber.pending >= SOFT_MARK) continue;
      const tallies = [...(subscriber.heldTallies?.values() ?? [])];
      subscriber.heldTallies = undefined;
      this.#held.delete(subscriber);
      for (let at = 0; at < tallies.length; at += TALLIES_PER_FRAME) {
        const slice = tallies.slice(at, at + TALLIES_PER_FRAME);
        this.#write(subscriber, slice, encodeMessage('votes', slice));
      }
      if (this.#heldIncomplete.delete(subscriber)) this.#writeIncomplete(subscriber);
    }
  }
}

const framesOf = new WeakMap<readonly Tally[], { slice: readonly Tally[]; frame: Encoded }[]>();

/** The messages that tell these tallies, encoded once for all who are told them. */
function tallyFrames(tallies: readonly Tally[]): { slice: readonly Tally[]; frame: Encoded }[] {
  let frames = framesOf.get(tallies);
  if (!frames) {
    frames = [];
    for (let at = 0; at < tallies.length; at += TALLIES_PER_FRAME) {
      const slice = tallies.slice(at, at + TALLIES_PER_FRAME);
      frames.push({ slice, frame: encodeMessage('votes', [...slice]) });
    }
    framesOf.set(tallies, frames);
  }
  return frames;
}
