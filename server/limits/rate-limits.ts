import type { Request, Response } from 'express';
import type { Identity } from '../identity.ts';
import { tooManyRequests } from '../errors.ts';
import { inWords } from '../text/time-span.ts';
import { addressKey } from './address-key.ts';
import { Counter } from './counter.ts';
import type { SharedCounts } from './shared-counts.ts';
import { keyedHash, keyedHashKey } from './keyed-hash.ts';
import type { Limit } from './store.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const limits = {
  login: { points: 60, duration: MINUTE },
  // By session, not by address (`countRefresh`): hundreds of people behind one address may renew in the same minute.
  refresh: { points: 60, duration: MINUTE },
  signup: { points: 40, duration: HOUR },
  // By address: nobody who asks for a new password is logged in.
  forgot: { points: 40, duration: HOUR },
  // By the e-mail address that they go to: it need not be that of the one who asks.
  mail: { points: 6, duration: HOUR },
  write: { points: 600, duration: MINUTE },
  read: { points: 6000, duration: MINUTE },
  // Each is an event of every post that the user has.
  rename: { points: 10, duration: HOUR },
  // What lets others act or listen as the user: API keys, webhooks, identities, addresses. The audit log keeps each for good.
  credential: { points: 20, duration: HOUR },
  // Each is looked at by a moderator.
  report: { points: 60, duration: HOUR },
  // Each reads all that an account has.
  export: { points: 10, duration: DAY },
} as const satisfies Record<string, Limit>;

type Limited = keyof typeof limits;

/** What a route counts against. */
export type RateLimit = Exclude<Limited, 'refresh'>;

/** Sign-ups of one address in a day. */
const SIGN_UPS_A_DAY = 120;

/**
 * The limit of all users of one address, as a multiple of one user's limit. A school or a company may share one
 * address: with 900 people, each has 6 writes and 66 reads a minute.
 */
const ADDRESS_SHARE = 10;

/** A limit that was reached, by the name that metrics and `RateLimit-Policy` give it. */
export type ReachedLimit = Limited | `${Exclude<Limited, 'signup'>}-address` | 'signup-day' | 'refresh-user';

/**
 * What is known of a refresh when it is counted: the session that its token was signed for, the user of that session, or
 * nothing.
 */
export type RefreshOf = { session: string } | { user: number } | undefined;

interface NamedCounter {
  name: ReachedLimit;
  counter: Counter;
  /** What the sentence of a refusal says behind "Too many requests". */
  from: '' | ' from your address';
}

/**
 * Rate limits: counts the requests of a user from any address, those of all users of an address together, and
 * unauthenticated requests by address.
 */
export class RateLimits {
  readonly #own: Record<Limited, NamedCounter>;
  readonly #ofAddress: Record<Limited, NamedCounter>;
  readonly #refreshesOfUser: NamedCounter;
  readonly #onRefused: (name: ReachedLimit) => void;
  readonly #key: Buffer;

  /**
   * @param secret of the service: an address that is stored for longer than a minute is stored as a keyed hash
   */
  constructor(counts: SharedCounts, secret: string, onRefused: (name: ReachedLimit) => void) {
    this.#onRefused = onRefused;
    this.#key = keyedHashKey(secret, 'tidings: addresses');
    const counterOf = (name: ReachedLimit, limit: Limit, from: NamedCounter['from'] = ''): NamedCounter => ({
      name,
      counter: new Counter(name, limit, counts),
      from,
    });
    const ofAll = (name: Limited): Limit => ({
      ...limits[name],
      points: ADDRESS_SHARE * limits[name].points,
    });
    const ofAddress = (name: Limited): NamedCounter =>
      name === 'signup'
        ? counterOf('signup-day', { points: SIGN_UPS_A_DAY, duration: DAY }, ' from your address')
        : counterOf(`${name}-address`, ofAll(name), ' from your address');
    const forEach = (make: (name: Limited) => NamedCounter) =>
      Object.fromEntries((Object.keys(limits) as Limited[]).map((name) => [name, make(name)])) as Record<
        Limited,
        NamedCounter
      >;
    this.#own = forEach((name) => counterOf(name, limits[name]));
    this.#ofAddress = forEach(ofAddress);
    this.#refreshesOfUser = counterOf('refresh-user', ofAll('refresh'));
  }

  /**
   * Counts one request and says how many are left (the `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers): of the
   * user's own limit, or of the one that is reached.
   * @param countedUnder in place of the user or the address
   * @throws {AppError} 429 with `Retry-After`
   */
  async count(
    name: RateLimit,
    req: Request,
    res: Response,
    user: Identity | undefined,
    countedUnder = user ? `u${user.id}` : undefined,
  ): Promise<void> {
    const own = this.#own[name];
    const left = await this.#take(own, countedUnder ?? this.#placeOf(req, own), res);
    // What one user has too many of is refused above, and takes nothing from others at the address. Without a user the first
    // count was the address's.
    if (countedUnder !== undefined || name === 'signup') {
      const ofAddress = this.#ofAddress[name];
      await this.#take(ofAddress, this.#placeOf(req, ofAddress), res);
    }
    tell(res, left);
  }

  /**
   * Counts a refresh. Of a signed token that is its session's, and when the session is known also its user's: never its
   * address's, whose other users have nothing to do with it. Of anything else it is the address's, before the database is
   * asked: what guesses cost is bounded.
   * @throws {AppError} 429 with `Retry-After`
   */
  async countRefresh(of: RefreshOf, req: Request, res: Response): Promise<void> {
    if (of === undefined) {
      const ofAddress = this.#ofAddress.refresh;
      tell(res, await this.#take(ofAddress, this.#placeOf(req, ofAddress), res));
    } else if ('user' in of) await this.#take(this.#refreshesOfUser, `u${of.user}`, res);
    else tell(res, await this.#take(this.#own.refresh, `s${of.session}`, res));
  }

  /**
   * Counts a mail to an address that a user calls theirs: whatever accounts ask for them, nobody is sent many.
   * @param email what makes two e-mail addresses one
   * @throws {AppError} 429
   */
  async countMail(email: string, req: Request, res: Response, user: Identity): Promise<void> {
    await this.count('mail', req, res, user, `m${keyedHash(this.#key, email)}`);
  }

  /**
   * Counts a mail to an address that nobody has proved, and that is not counted for a request: the same count, or one of
   * another kind of mails.
   * @param kind undefined: mails that prove an address
   * @param email what makes two e-mail addresses one
   * @returns whether it may be sent
   */
  async mayMail(kind: string | undefined, email: string): Promise<boolean> {
    const { name, counter } = this.#own.mail;
    const subject = kind === undefined ? email : `${kind} ${email}`;
    const { consumedPoints } = await counter.take(`m${keyedHash(this.#key, subject)}`);
    if (consumedPoints <= counter.limit.points) return true;
    this.#onRefused(name);
    return false;
  }

  /** @throws {AppError} 429 */
  async #take({ name, counter, from }: NamedCounter, key: string, res: Response): Promise<Standing> {
    const { limit } = counter;
    const state = await counter.take(key);
    const seconds = Math.ceil(state.msBeforeNext / 1000);
    const standing = { name, limit, left: Math.max(0, limit.points - state.consumedPoints), seconds };
    if (state.consumedPoints <= limit.points) return standing;
    tell(res, standing);
    this.#onRefused(name);
    throw tooManyRequests(
      `Too many requests${from}. Try again in ${inWords(seconds)}.`,
      Math.max(1, seconds),
    );
  }

  #placeOf(req: Request, { counter }: NamedCounter): string {
    const address = addressKey(req.ip ?? '');
    return counter.limit.duration > MINUTE ? `h${keyedHash(this.#key, address)}` : `a${address}`;
  }
}

/** How a limit stands. */
interface Standing {
  name: ReachedLimit;
  limit: Limit;
  left: number;
  /** Until there are more. */
  seconds: number;
}

function tell(res: Response, { name, limit, left, seconds }: Standing): void {
  res.set('RateLimit-Policy', `"${name}";q=${limit.points};w=${limit.duration}`);
  res.set('RateLimit', `"${name}";r=${left};t=${seconds}`);
}
