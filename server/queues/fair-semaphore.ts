import { QueueLimit, type Senders } from './queue-limit.ts';

export interface FairSemaphoreOptions<Requester> {
  /** Pieces of work at once. */
  atOnce: number;
  /**
   * The sender of a request, behind the groups that it belongs to, the widest first. The groups take turns, in each its
   * members, and each sender's requests are in their order.
   */
  pathOf: (requester: Requester) => readonly string[];
  /** Takes the request out when its client has left. Its reason is what `run` rejects with. */
  signalOf?: (requester: Requester) => AbortSignal | undefined;
  /** Default: what waits is bounded by its callers. */
  limits?: WaitLimits<Requester>;
}

export interface WaitLimits<Requester> {
  /**
   * Requests that wait at most; the last one of the sender with the most is refused, and not the newcomer, unless that
   * is the same.
   */
  most: number;
  /** Whose share of these it takes; nobody's: its requester has a bound of its own. */
  sendersOf: (requester: Requester) => Senders;
  /** How long a request waits at most. Milliseconds. */
  timeLimit: number;
  /** The error of a refused request. */
  refusal: () => Error;
}

interface Waiter<Requester> {
  requester: Requester;
  /** In which it waits. */
  sender: Sender<Requester>;
  start: () => void;
  refuse: (error: Error) => void;
}

/** A sender that has requests waiting, and where it stands. */
interface Sender<Requester> {
  path: readonly string[];
  asks: Set<Waiter<Requester>>;
}

/** Members of a group; whose turn is next comes first. */
type Ring<Requester> = Map<string, Ring<Requester> | Sender<Requester>>;

/**
 * Limits how many pieces of work run at once; those that wait take turns: after each turn a sender goes behind the
 * others of its group, and the group behind the other groups. For many waiters and short work: a turn costs the same
 * however many wait, and where nobody has to wait it is a number that is counted up and down.
 *
 * A sender that waits has one place: requests that it sends from another group meanwhile wait there too, so that one
 * user with many addresses has the turns of one.
 */
export class FairSemaphore<Requester> {
  readonly #options: FairSemaphoreOptions<Requester>;
  #running = 0;
  #waiting = 0;
  readonly #ring: Ring<Requester> = new Map();
  readonly #senders = new Map<string, Sender<Requester>>();
  readonly #bound: QueueLimit<Waiter<Requester>> | undefined;

  constructor(options: FairSemaphoreOptions<Requester>) {
    this.#options = options;
    const { limits } = options;
    this.#bound =
      limits &&
      new QueueLimit({
        most: limits.most,
        sendersOf: ({ requester }) => limits.sendersOf(requester),
        refuse: (waiter) => {
          this.#remove(waiter);
          waiter.refuse(limits.refusal());
        },
      });
  }

  /** Pieces of work that are in progress. */
  get running(): number {
    return this.#running;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Does the work when it is its sender's turn.
   * @throws the refusal, when too many wait or it has waited for too long; the signal's reason, if the client leaves before its turn
   */
  async run<T>(requester: Requester, work: () => Promise<T>): Promise<T> {
    this.#options.signalOf?.(requester)?.throwIfAborted();
    if (this.#running < this.#options.atOnce) this.#running += 1;
    else await this.#wait(requester);
    try {
      return await work();
    } finally {
      // The place is handed on, not freed: a newcomer must not slip in between.
      const next = this.#draw(this.#ring);
      if (next) next.start();
      else this.#running -= 1;
    }
  }

  #wait(requester: Requester): Promise<void> {
    const { signalOf, limits } = this.#options;
    const signal = signalOf?.(requester);
    return new Promise((resolve, reject) => {
      const leave = () => giveUp(signal?.reason as Error);
      const settle = () => {
        this.#bound?.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener('abort', leave);
      };
      const waiter: Waiter<Requester> = {
        requester,
        sender: this.#senderOf(requester),
        start: () => {
          settle();
          resolve();
        },
        refuse: (error) => {
          settle();
          reject(error);
        },
      };
      const giveUp = (error: Error) => {
        this.#remove(waiter);
        waiter.refuse(error);
      };
      const timer = limits && setTimeout(() => giveUp(limits.refusal()), limits.timeLimit);
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting += 1;
      waiter.sender.asks.add(waiter);
      if (limits && limits.sendersOf(requester).length > 0) this.#bound?.add(waiter);
    });
  }

  /** Where the requests of its sender wait; behind all others, if none does yet. */
  #senderOf(requester: Requester): Sender<Requester> {
    const path = this.#options.pathOf(requester);
    const name = path.at(-1) ?? '';
    const known = this.#senders.get(name);
    if (known) return known;
    const sender: Sender<Requester> = { path, asks: new Set() };
    this.#senders.set(name, sender);
    let ring = this.#ring;
    for (const group of path.slice(0, -1)) {
      const inner = ring.get(group);
      const members = inner instanceof Map ? inner : new Map<string, Ring<Requester> | Sender<Requester>>();
      if (!inner) ring.set(group, members);
      ring = members;
    }
    ring.set(name, sender);
    return sender;
  }

  /** Takes out the request whose turn it is. Whose turn it was goes behind the others. */
  #draw(ring: Ring<Requester>): Waiter<Requester> | undefined {
    for (const [name, member] of ring) {
      ring.delete(name);
      if (member instanceof Map) {
        const waiter = this.#draw(member);
        if (member.size > 0) ring.set(name, member);
        return waiter;
      }
      const [waiter] = member.asks;
      if (!waiter) continue;
      member.asks.delete(waiter);
      this.#waiting -= 1;
      if (member.asks.size > 0) ring.set(name, member);
      else this.#senders.delete(name);
      return waiter;
    }
    return undefined;
  }

  #remove(waiter: Waiter<Requester>): void {
    const { path, asks } = waiter.sender;
    if (!asks.delete(waiter)) return;
    this.#waiting -= 1;
    if (asks.size > 0) return;
    this.#senders.delete(path.at(-1) ?? '');
    leaveEmpty(this.#ring, path);
  }
}

/** Takes out the member that a path leads to, and the groups that are empty without it. */
function leaveEmpty<Requester>(ring: Ring<Requester>, [name = '', ...rest]: readonly string[]): void {
  const member = ring.get(name);
  if (rest.length > 0 && member instanceof Map) {
    leaveEmpty(member, rest);
    if (member.size > 0) return;
  }
  ring.delete(name);
}
