/** The sender of a request in a fair queue. */
export interface Requester {
  /**
   * The names that the request counts for: an address, a user, or both. A client with several names has the share of
   * one.
   */
  senders: readonly string[];
  /** Whether the sender has proved before who it is: it may use a reserved place. */
  familiar?: boolean;
  /** Takes the request out of the queue when its client has left. Its reason is what `run` rejects with. */
  signal?: AbortSignal;
}

/** The same requester, of whom it is known whether it is familiar. Not a copy of its members: they may be found out when they are asked for. */
export function withFamiliarity({ senders, signal }: Requester, familiar: boolean): Requester {
  return { senders, familiar, ...(signal && { signal }) };
}

export interface FairQueueOptions {
  /** Pieces of work at once. */
  atOnce: number;
  /** Places beside these for familiar senders: a flood has none of them. */
  reserved?: number;
  /** Requests that wait at most, of all senders and of one. */
  most: number;
  mostOf: number;
  /** The error of a refused request. */
  refusal: () => Error;
  /** How long ago a sender's last turn must be for it to take precedence. Milliseconds. */
  rest?: number;
}

/** How long ago a sender's last turn must be for it to take precedence. Milliseconds. */
const REST = 60_000;
/** Senders whose last turn is remembered; those of the longest ago are forgotten first. */
const MOST_REMEMBERED = 10_000;

/** A sender with requests that wait. */
interface Sender {
  waiting: number;
  /** The round in which it has its next turn: it has one in each. */
  round: number;
}

/** Frees a place. */
type Leave = () => void;

interface Waiter {
  requester: Requester;
  /** Grows with each request. */
  arrival: number;
  start: (leave: Leave) => void;
  refuse: (error: Error) => void;
}

/**
 * A bounded fair queue in which senders take turns, so that a sender with many requests waits for its own and does not
 * delay others.
 *
 * - **Places.** A place that is freed goes to the sender whose round comes first, and of several to the one
 *   whose last turn is longest ago. Of a request that counts for several senders the busiest decides first, so the
 *   users of one address take turns in the share of their address. Each sender's requests are served first come, first
 *   served. A newcomer enters the round after the current one, which holds finitely many, so every request is served
 *   after a bounded number of turns.
 * - **Rested senders**, those without a turn for a while, have every second turn: beside a flood, whose senders have turns
 *   all the time, a newcomer waits for no round.
 * - **Reserved places** go to familiar senders, one each. While there is work in them, so much less is begun in the other
 *   places: what is reserved would be worth little if it had to share the processor with a flood. It is begun when they are
 *   left.
 * - **Bounds.** When too many wait in all, the last request of the sender with the most is refused, and not the
 *   newcomer, unless that is the same. When too many of one sender wait, its own last request is, and of an address
 *   that several share one that is not familiar.
 */
export class FairQueue {
  readonly #options: Required<FairQueueOptions>;
  #running = 0;
  /** Who is in the reserved places. */
  readonly #reserved = new Set<Requester>();
  /** In the order of arrival. */
  readonly #waiting: Waiter[] = [];
  readonly #senders = new Map<string, Sender>();
  /** When each sender's last turn began, for as long as that matters; the one of the longest ago first. */
  readonly #lastTurns = new Map<string, number>();
  /** Of the last turn that was taken. */
  #round = 0;
  /** Whether the last turn was that of a sender that went before the others. */
  #wasRested = false;
  #arrivals = 0;

  constructor(options: FairQueueOptions) {
    this.#options = { reserved: 0, rest: REST, ...options };
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Does the work when it is its sender's turn.
   * @throws the refusal, when too many wait; the signal's reason, if the client leaves before its turn
   */
  async run<T>(requester: Requester, work: () => Promise<T>): Promise<T> {
    requester.signal?.throwIfAborted();
    const leave = this.#enter(requester) ?? (await this.#wait(requester));
    try {
      return await work();
    } finally {
      // The place is handed on in the same turn of the event loop: a newcomer must not slip in between.
      leave();
      this.#handOn();
    }
  }

  /** Takes a free place, if there is one for this requester. */
  #enter(requester: Requester): Leave | undefined {
    const leave = this.#hasPlace ? this.#take() : this.#takeReserved(requester);
    if (!leave) return undefined;
    const now = performance.now();
    for (const sender of requester.senders) {
      this.#lastTurns.delete(sender);
      this.#lastTurns.set(sender, now);
    }
    return leave;
  }

  /** Whether there is a place that is nobody's. */
  get #hasPlace(): boolean {
    return this.#running + this.#reserved.size < this.#options.atOnce;
  }

  #take(): Leave {
    this.#running += 1;
    return () => (this.#running -= 1);
  }

  #takeReserved(requester: Requester): Leave | undefined {
    if (!this.#mayUseReserved(requester)) return undefined;
    const place: Requester = { senders: requester.senders };
    this.#reserved.add(place);
    return () => this.#reserved.delete(place);
  }

  #mayUseReserved({ senders, familiar }: Requester): boolean {
    if (!familiar || this.#reserved.size >= this.#options.reserved) return false;
    const busy = new Set([...this.#reserved].flatMap((requester) => requester.senders));
    return senders.every((sender) => !busy.has(sender));
  }

  #forgetOldTurns(): void {
    const before = performance.now() - this.#options.rest;
    for (const [sender, at] of this.#lastTurns) {
      if (at > before && this.#lastTurns.size <= MOST_REMEMBERED) return;
      this.#lastTurns.delete(sender);
    }
  }

  #wait(requester: Requester): Promise<Leave> {
    const { signal, senders } = requester;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#remove(waiter);
        reject(signal?.reason as Error);
      };
      const waiter: Waiter = {
        requester,
        arrival: (this.#arrivals += 1),
        start: (leave) => {
          signal?.removeEventListener('abort', giveUp);
          resolve(leave);
        },
        refuse: (error) => {
          signal?.removeEventListener('abort', giveUp);
          reject(error);
        },
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(waiter);
      for (const name of senders) {
        const sender = this.#senders.get(name) ?? { waiting: 0, round: this.#round + 1 };
        sender.waiting += 1;
        this.#senders.set(name, sender);
      }
      this.#keepBounds(waiter);
    });
  }

  #remove(waiter: Waiter): void {
    this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
    for (const name of waiter.requester.senders) {
      const sender = this.#senders.get(name);
      if (sender && sender.waiting > 1) sender.waiting -= 1;
      else this.#senders.delete(name);
    }
  }

  #keepBounds(newcomer: Waiter): void {
    const { most, mostOf } = this.#options;
    const crowded = newcomer.requester.senders.find(
      (name) => (this.#senders.get(name)?.waiting ?? 0) > mostOf,
    );
    const among =
      crowded === undefined
        ? this.#waiting
        : this.#waiting.filter(({ requester }) => requester.senders.includes(crowded));
    if (crowded === undefined && this.#waiting.length <= most) return;
    const victim = least(among, (waiter) => [
      ...this.#crowdsOf(waiter).map((crowd) => -crowd),
      waiter.requester.familiar ? 1 : 0,
      -this.#lastTurnsOf(waiter)[0],
      -waiter.arrival,
    ]);
    if (!victim) return;
    this.#remove(victim);
    victim.refuse(this.#options.refusal());
  }

  #handOn(): void {
    for (let next = this.#next(); next; next = this.#next()) {
      const leave = this.#enter(next.requester);
      if (!leave) return;
      this.#remove(next);
      next.start(leave);
    }
  }

  /** Whose turn it is, if there is a place. */
  #next(): Waiter | undefined {
    if (!this.#hasPlace)
      return least(
        this.#waiting.filter(({ requester }) => this.#mayUseReserved(requester)),
        (waiter) => [...this.#lastTurnsOf(waiter), waiter.arrival],
      );
    this.#forgetOldTurns();
    const rested = this.#wasRested
      ? []
      : this.#waiting.filter((waiter) => this.#lastTurnsOf(waiter)[0] === 0);
    const next = least(rested.length > 0 ? rested : this.#waiting, (waiter) => [
      this.#roundOf(waiter),
      ...this.#lastTurnsOf(waiter),
      waiter.arrival,
    ]);
    if (!next) return undefined;
    this.#wasRested = rested.length > 0;
    this.#round = Math.max(this.#round, this.#roundOf(next));
    for (const name of next.requester.senders) {
      const sender = this.#senders.get(name);
      if (sender) sender.round = this.#round + 1;
    }
    return next;
  }

  #roundOf({ requester }: Waiter): number {
    return Math.max(...requester.senders.map((name) => this.#senders.get(name)?.round ?? 0));
  }

  /** Of its senders the latest and the earliest; 0 for one of which none is remembered. */
  #lastTurnsOf({ requester }: Waiter): [latest: number, earliest: number] {
    const turns = requester.senders.map((name) => this.#lastTurns.get(name) ?? 0);
    return [Math.max(...turns), Math.min(...turns)];
  }

  /** How many requests wait of the busiest of its senders, and of the least busy. */
  #crowdsOf({ requester }: Waiter): [most: number, least: number] {
    const crowds = requester.senders.map((name) => this.#senders.get(name)?.waiting ?? 0);
    return [Math.max(...crowds), Math.min(...crowds)];
  }
}

/** The one with the least rank; ranks are compared number by number. */
function least(waiters: readonly Waiter[], rankOf: (waiter: Waiter) => number[]): Waiter | undefined {
  let first: Waiter | undefined;
  let firstRank: number[] = [];
  for (const waiter of waiters) {
    const rank = rankOf(waiter);
    const at = rank.findIndex((value, place) => value !== firstRank[place]);
    if (first && (rank[at] ?? 0) >= (firstRank[at] ?? 0)) continue;
    first = waiter;
    firstRank = rank;
  }
  return first;
}
