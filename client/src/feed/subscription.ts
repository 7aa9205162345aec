import type { FeedReset, LiveEvent, ResetReason } from '../contract.ts';
import { Emitter } from '../emitter.ts';
import { isOfPost } from '../post-events.ts';
import { TidingsError } from '../tidings-error.ts';

export interface SubscribeOptions {
  /** The position of what you hold of these topics, such as `position.seq` of a list; without it, from now on. */
  from?: number;
  /** The epoch that `from` belongs to. */
  epoch?: string;
}

/** Events of these topics could not be handed over: load what you show of them again. They continue after `seq`. */
export interface TopicReset extends Omit<FeedReset, 'reason'> {
  topics: string[];
  /** Undefined where there were only too many events for one answer. */
  reason: ResetReason | undefined;
}

export interface SubscriptionListeners {
  /** Each event after the position, once, in order: of these topics, and whatever else the feed brings from then on. */
  event: (event: LiveEvent) => void;
  reset: (reset: TopicReset) => void;
  /** The server refused it: it is closed. */
  refused: (error: TidingsError) => void;
}

/**
 * Topics of a feed with a position of their own. What was missed since comes in the answer of the server, what follows
 * in the stream; each is handed on once.
 */
export class Subscription {
  readonly #emitter = new Emitter<SubscriptionListeners>();
  readonly #onClose: (subscription: Subscription) => void;
  #topics: readonly string[];
  /** Handed on up to here, or held by who listens; undefined: what comes from now on. */
  #position: number | undefined;
  /** What `#position` belongs to. */
  #epoch: string | undefined;
  /** Whether the server hands over what comes after the position in the stream. */
  #settled = false;
  #apart = false;
  /** Events of the user alone that the stream has brought since the position: no answer has them. */
  #own: readonly LiveEvent[];
  /** Whether the server has said so. */
  #confirmed = false;
  #closed = false;
  #failure: TidingsError | undefined;
  readonly #waiting = new Set<{ resolve: () => void; reject: (error: TidingsError) => void }>();

  /** @param own events of the user alone that the feed has had after the position */
  constructor(
    topics: readonly string[],
    { from, epoch }: SubscribeOptions,
    own: readonly LiveEvent[],
    onClose: (subscription: Subscription) => void,
  ) {
    this.#topics = topics;
    this.#position = from;
    this.#epoch = epoch;
    this.#own = own;
    this.#onClose = onClose;
  }

  get topics(): readonly string[] {
    return this.#topics;
  }

  /** Events up to here have been handed on; undefined if that is not known yet. */
  get position(): number | undefined {
    return this.#position;
  }

  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Whether what comes after the position comes in the stream. @internal */
  get settled(): boolean {
    return this.#settled;
  }

  /** Whether it is asked for by itself, and not with a handshake. @internal */
  get apart(): boolean {
    return this.#apart;
  }

  /** @returns removes the listener */
  readonly on = <K extends keyof SubscriptionListeners>(
    name: K,
    listener: SubscriptionListeners[K],
  ): (() => void) => this.#emitter.on(name, listener);

  /** Resolves when the server has taken it, and what was missed has been handed on. @throws {TidingsError} */
  readonly ready = (): Promise<void> => {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(new TidingsError('aborted', 'The subscription is closed.'));
    if (this.#confirmed) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
  };

  /** Ends it. The feed stays. */
  readonly close = (): void => {
    this.#end(new TidingsError('aborted', 'The subscription is closed.'));
  };

  /** The feed has an event. @internal */
  readonly hear = (event: LiveEvent): void => {
    if (this.#settled) this.#tell(event);
    else if (!isOfPost(event)) this.#own = [...this.#own, event];
  };

  /**
   * What follows comes in the stream.
   * @param seq everything up to here is in the events, or has come before
   * @internal
   */
  readonly settle = (seq = 0, events: readonly LiveEvent[] = []): void => {
    if (this.#closed || this.#settled) return;
    const missed = [...this.#own, ...events].sort((a, b) => a.seq - b.seq);
    this.#settled = true;
    this.#own = [];
    for (const event of missed) this.#tell(event);
    if (seq > 0) this.#position = Math.max(this.#position ?? 0, seq);
  };

  /** The handshake that had it was refused. @returns whether no other has been accepted with it @internal */
  readonly withdraw = (): boolean => {
    if (!this.#settled || this.#confirmed) return false;
    this.#settled = false;
    this.#apart = true;
    return true;
  };

  /** The server has said that it follows the topics. @internal */
  readonly confirm = (): void => {
    for (const { resolve } of this.#waiting) resolve();
    this.#waiting.clear();
    this.#confirmed = true;
  };

  /** What lies before `seq` is not handed on. @internal */
  readonly reset = (reset: TopicReset): void => {
    if (this.#closed) return;
    this.#position = reset.seq;
    this.#epoch = reset.epoch;
    this.#own = [];
    this.#emitter.emit('reset', reset);
  };

  /** Some of the topics are not wanted any more. @internal */
  readonly drop = (topics: readonly string[]): void => {
    const left = this.#topics.filter((topic) => !topics.includes(topic));
    if (left.length === this.#topics.length) return;
    this.#topics = left;
    if (left.length === 0) this.close();
  };

  /** @internal */
  readonly refuse = (error: TidingsError): void => {
    if (this.#closed) return;
    this.#failure = error;
    this.#emitter.emit('refused', error);
    this.#end(error);
  };

  #tell(event: LiveEvent): void {
    if (this.#closed || (this.#position !== undefined && event.seq <= this.#position)) return;
    this.#position = event.seq;
    this.#emitter.emit('event', event);
  }

  #end(error: TidingsError): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
    this.#emitter.clear();
    this.#onClose(this);
  }
}
