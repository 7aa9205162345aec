import { type AppError, tooManyRequests } from '../errors.ts';
import { addressKey } from './address-key.ts';
import { Counter } from './counter.ts';
import type { SharedCounts } from './shared-counts.ts';
import { keyedHash, keyedHashKey } from './keyed-hash.ts';
import { inWords } from '../text/time-span.ts';

/** Over how long votes are counted. Seconds. */
const WINDOW = 3600;
/** How many times the votes of new accounts all accounts of an address may have together. */
const ALL_SHARE = 30;

export interface CountedVote {
  userId: number;
  postId: number;
  address: string | undefined;
}

export interface VoteLimitOptions {
  counts: SharedCounts;
  /** Votes for one post from new accounts of one address in an hour; of all accounts there, thirty times as many. */
  votes: number;
  /** Of the service: addresses are stored as keyed hashes. */
  secret: string;
  /** Whether an account is a new one. */
  isNew: (userId: number) => Promise<boolean>;
  onRefused: (vote: CountedVote) => void;
}

/**
 * Limits the votes for one post from one address, against vote manipulation with many accounts. A user counts once in
 * an hour for each post, however often the vote is taken back and cast again.
 */
export class VoteLimit {
  readonly #options: VoteLimitOptions;
  readonly #key: Buffer;
  readonly #once: Counter;
  readonly #ofNew: Counter;
  readonly #ofAll: Counter;
  /** The last attempt of each user and post that is not decided yet; resolves when it is. */
  readonly #undecided = new Map<string, Promise<void>>();

  constructor(options: VoteLimitOptions) {
    const { counts, votes, secret } = options;
    this.#options = options;
    this.#key = keyedHashKey(secret, 'tidings: addresses');
    const counter = (name: string, points: number) =>
      new Counter(name, { points, duration: WINDOW }, counts, { refundable: true });
    this.#once = counter('vote-once', 1);
    this.#ofNew = counter('vote-new', votes);
    this.#ofAll = counter('vote', ALL_SHARE * votes);
  }

  /**
   * Lets a vote be cast. It is counted for the address before, or many at once would all be let in, and the points are
   * given back unless it added a vote. Only then is its user free of the limit for this post: an attempt that is still
   * undecided frees no other one, here or on another node. Attempts of one user for one post come one after the other,
   * so that a repeated request is not refused for the place that the first one has taken.
   * @param cast casts it; resolves with whether a vote was added
   * @param isThere whether the user's vote is there already: then nothing is refused
   * @throws {AppError} 429 with `Retry-After`, and whatever `cast`, `isThere` and `isNew` throw
   */
  async attempt<T extends { added: boolean }>(
    vote: CountedVote,
    cast: () => Promise<T>,
    isThere: () => Promise<boolean>,
  ): Promise<T> {
    const key = `${vote.postId}:u${vote.userId}`;
    const before = this.#undecided.get(key);
    const attempt = (async () => {
      await before;
      return (await this.#once.taken(key)) > 0 ? cast() : this.#count(key, vote, cast, isThere);
    })();
    const decided = attempt.then(
      () => undefined,
      () => undefined,
    );
    this.#undecided.set(key, decided);
    try {
      return await attempt;
    } finally {
      if (this.#undecided.get(key) === decided) this.#undecided.delete(key);
    }
  }

  async #count<T extends { added: boolean }>(
    key: string,
    vote: CountedVote,
    cast: () => Promise<T>,
    isThere: () => Promise<boolean>,
  ): Promise<T> {
    const counters = (await this.#options.isNew(vote.userId)) ? [this.#ofNew, this.#ofAll] : [this.#ofAll];
    const place = `${vote.postId}:${keyedHash(this.#key, addressKey(vote.address ?? ''))}`;
    const taken = await Promise.all(counters.map((counter) => counter.take(place)));
    let counts = false;
    try {
      const over = taken.filter(
        ({ consumedPoints }, at) => consumedPoints > (counters[at]?.limit.points ?? 0),
      );
      if (over.length > 0 && !(await isThere())) {
        this.#options.onRefused(vote);
        throw tooMany(Math.max(...over.map(({ msBeforeNext }) => msBeforeNext)));
      }
      const result = await cast();
      // Of two that were added at once, with one taken back between them, the first counts.
      counts = result.added && (await this.#once.take(key)).consumedPoints === 1;
      return result;
    } finally {
      if (!counts) await Promise.all(taken.map((point) => point.giveBack()));
    }
  }
}

function tooMany(milliseconds: number): AppError {
  const seconds = Math.max(1, Math.ceil(milliseconds / 1000));
  return tooManyRequests(
    `Too many votes for this post have come from your address within an hour. Try again in ${inWords(seconds)}.`,
    seconds,
  );
}
