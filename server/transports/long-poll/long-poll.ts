import type { Response } from 'express';
import type { Identity } from '../../identity.ts';
import type { BatchView, ChainedEvent } from '../../delivery/batch.ts';
import type { Delivery } from '../../delivery/delivery.ts';
import { FeedSubscriber, type Greeting } from '../../delivery/subscriber.ts';
import { AppError } from '../../errors.ts';
import { subscriptionTo } from '../../topics/subscription.ts';
import type { Position, ResetReason, SessionCloseCode } from '../../protocol.ts';
import { whenOver } from '../../async/response-end.ts';
import { addressOf, endOf, type EntryContext, takeConnectionSlot } from '../entry.ts';

/** Text of events that goes into one answer, if it is more than one event. Bytes. */
const MAX_BYTES = 1024 * 1024;
/** How long an answer may take whose events cannot be read. Milliseconds. */
const READ_LIMIT = 10_000;

/** What stands for the address of those who ask within the service. */
const WITHIN = 'service';

/** An event as REST tells it. */
interface EventAnswer extends Position {
  name: string;
  at: string;
  data: unknown;
}

/** What one request is answered with. */
interface EventsPage {
  epoch: string;
  /**
   * The highest seq; of a page without events the position up to which there is none for the requester, to continue
   * from.
   */
  head: number;
  events: EventAnswer[];
}

export interface PollQuery {
  after?: number;
  epoch?: string;
  /** Events at most. */
  limit: number;
  /** Seconds to wait for an event if there is none yet. */
  wait: number;
  /** Without them: everything public. */
  topics?: readonly string[];
}

/**
 * Answers one request for the events after a position: a transport of `Delivery`, beside the sockets. It resumes as a socket
 * does, takes what there is, and leaves; with `wait` and nothing to take it joins the live set and leaves with the first
 * events that come. A short page is not the end of the log: a page without events is.
 * @returns undefined if the requester has gone
 * @throws {AppError} 401, 410 with `reason`, `epoch` and `head` (the place to start again after reading `GET /posts`
 *   again), 429, 503
 */
export async function pollEvents(
  ctx: EntryContext,
  user: Identity,
  query: PollQuery,
  res: Response,
): Promise<EventsPage | undefined> {
  const { delivery, liveSessions } = ctx;
  const waits = query.wait > 0;
  if (waits) takeConnectionSlot(ctx, user, res);
  const poll = new LongPoll(user, addressOf(res), query, ctx);
  try {
    delivery.enter(poll);
    whenOver(res, () => poll.leave());
    // One that does not wait is a read like any other: its session has been looked up.
    if (waits) await liveSessions.require(user, { fresh: true, senders: () => poll.senders });
    delivery.admit(poll, query.after, query.epoch);
    return await poll.answer;
  } finally {
    poll.leave();
  }
}

/**
 * What follows a position for a user, for who asks within the service: as a request would be answered, without a connection.
 * @returns undefined if the signal ended it
 * @throws {AppError} 401 if the user's sessions end meanwhile, 410 with `reason`, `epoch` and `head`, 503
 */
export async function nextEvents(
  ctx: Pick<EntryContext, 'delivery' | 'feed'>,
  user: Identity,
  query: PollQuery,
  signal: AbortSignal,
): Promise<EventsPage | undefined> {
  if (signal.aborted) return undefined;
  const poll = new OwnPoll(user, WITHIN, query, ctx);
  const leave = () => poll.leave();
  signal.addEventListener('abort', leave);
  try {
    ctx.delivery.enter(poll);
    ctx.delivery.admit(poll, query.after, query.epoch);
    return await poll.answer;
  } finally {
    signal.removeEventListener('abort', leave);
    poll.leave();
  }
}

interface Settle {
  resolve: (page: EventsPage | undefined) => void;
  reject: (error: AppError) => void;
}

/** One request: it takes events until it has what it may have, and then it has ended. */
class LongPoll extends FeedSubscriber {
  /** Settled once, whatever ends it. */
  readonly answer: Promise<EventsPage | undefined>;
  readonly #settle: Settle;
  readonly #limit: number;
  readonly #wait: number;
  readonly #delivery: Delivery;
  readonly #feed: EntryContext['feed'];
  readonly #began = Date.now();
  #events: ChainedEvent[] = [];
  /** Where the node was when it took the first of them. */
  #known = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout;

  constructor(
    identity: Identity,
    address: string,
    { after, limit, wait, topics }: PollQuery,
    { delivery, feed }: Pick<EntryContext, 'delivery' | 'feed'>,
  ) {
    super(identity, address, subscriptionTo(topics));
    this.#limit = limit;
    this.#wait = wait * 1000;
    this.#delivery = delivery;
    this.#feed = feed;
    let settle!: Settle;
    this.answer = new Promise((resolve, reject) => (settle = { resolve, reject }));
    this.#settle = settle;
    // It may be ended before anyone waits for the answer.
    this.answer.catch(() => undefined);
    this.#timer = setTimeout(() => this.#giveUp(after), Math.max(this.#wait, READ_LIMIT));
  }

  get open(): boolean {
    return !this.ended;
  }

  override get room(): number {
    return this.#limit - this.#events.length;
  }

  /** What it takes is bounded by what one answer may hold. */
  readonly pending = 0;

  writeEvents(view: BatchView, from: number, to: number): number {
    let at = from;
    if (this.#events.length === 0) this.#known = this.#feed.seq;
    for (; at < to && this.#events.length < this.#limit; at += 1) {
      const event = view.events[at];
      const size = view.sizeOf(at);
      if (!event || (this.#bytes + size > MAX_BYTES && this.#events.length > 0)) break;
      this.#events.push(event);
      this.#bytes += size;
    }
    // Full; or what it has waited for has come.
    if (at < to || this.#events.length >= this.#limit || this.greeted) this.#give();
    return at - from;
  }

  greet({ epoch, seq, outcome, reason }: Greeting): void {
    if (outcome === 'reset') this.#fail(gone(reason ?? 'too_old', { epoch, seq }));
    else if (this.#events.length > 0 || this.#wait === 0) this.#give();
    else {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#give(), Math.max(0, this.#began + this.#wait - Date.now()));
    }
  }

  readonly seesHeads = false;

  writeHead(): void {
    // Its answer says where the feed stands.
  }

  writeCount(): void {
    // It has no mode in which it counts.
  }

  /** A node that stops, and one that reads another log all at once, answer with what there is. */
  end(code: SessionCloseCode): void {
    if (this.ended) return;
    if (code === 'draining' && this.greeted) this.#give();
    else if (code === 'reset' && this.greeted) this.#fail(gone('epoch_changed', this.#feed));
    else this.#fail(endOf(code));
  }

  takeBack(authorId: number): void {
    let prev = this.#events[0]?.prev ?? 0;
    const kept: ChainedEvent[] = [];
    for (const { entry } of this.#events) {
      if (entry.authorId === authorId) continue;
      kept.push({ entry, prev });
      prev = entry.seq;
    }
    this.#events = kept;
  }

  terminate(): void {
    this.leave();
  }

  /** Ends it without an answer, if it has none yet. */
  leave(): void {
    clearTimeout(this.#timer);
    this.#delivery.remove(this);
    this.#settle.resolve(undefined);
  }

  /**
   * Its time is over. However far it has come, the next request continues from there; unless it is not known any more
   * who is hidden from whom.
   */
  #giveUp(after: number | undefined): void {
    const mayWrite = this.#events.length === 0 || this.#delivery.isFresh;
    if (after !== undefined && this.seq > after && mayWrite) this.#give();
    else this.end('reset');
  }

  #give(): void {
    if (this.ended) return;
    // It cannot be told any more which texts have been taken out since they were read.
    if (this.#events.length > 0 && !this.#feed.hasPassedSince(this.#known)) {
      this.#fail(endOf('reset'));
      return;
    }
    const { epoch, seq } = this.#feed;
    const last = this.#events.at(-1)?.entry.seq;
    // Without events it is where the requester continues from: the node may have more that is on its way to it.
    const head = last === undefined ? this.#delivery.positionOf(this) : Math.max(seq, last);
    this.#settle.resolve({
      epoch,
      head,
      events: this.#events.map((event) => presentEvent(event, this.#feed)),
    });
    this.leave();
  }

  #fail(error: AppError): void {
    this.#settle.reject(error);
    this.leave();
  }
}

/** One that nobody has connected for. */
class OwnPoll extends LongPoll {
  override readonly withoutSession = true;
}

const sentences: Record<ResetReason, string> = {
  epoch_changed: 'The position belongs to another numbering: the database was restored or made anew.',
  future: 'The position lies ahead of the log.',
  too_old: 'The log no longer reaches that far back.',
};

function gone(reason: ResetReason, { epoch, seq }: { epoch: string; seq: number }): AppError {
  return new AppError('gone', `${sentences[reason]} Read GET /posts again and go on from its X-Feed-Seq.`, {
    members: { reason, epoch, head: seq },
  });
}

/** As it is by now: other pages may have been read since it was taken. */
function presentEvent({ entry, prev }: ChainedEvent, feed: EntryContext['feed']): EventAnswer {
  const { seq, name, at, json } = feed.current(entry);
  const data: unknown = JSON.parse(json);
  return { seq, prev, name, at: new Date(at).toISOString(), data };
}
