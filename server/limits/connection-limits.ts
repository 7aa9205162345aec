import { AppError } from '../errors.ts';
import type { Logger } from '../logger.ts';

/** Why a connection is refused. */
export type ConnectionRefusalReason = 'full' | 'address' | 'unauthenticated' | 'user';

/**
 * A user's share of the connections: this fraction in any case, and up to this number as long as it is at most an
 * eighth.
 */
const USER_SHARE = 0.02;
const USER_LEAST = 20;
const USER_LEAST_SHARE = 0.125;

/** `Retry-After`. Seconds. */
const PAUSES: Record<ConnectionRefusalReason, number> = {
  full: 5,
  address: 30,
  unauthenticated: 5,
  user: 30,
};

const SENTENCES: Record<ConnectionRefusalReason, string> = {
  full: 'The node has reached its connection limit.',
  address: 'This address has too many open connections.',
  unauthenticated: 'This address has too many unauthenticated connections.',
  user: 'This user has too many open connections.',
};

/** 503 if the node is full, 429 if a connection limit is reached; with `Retry-After`. */
export class ConnectionRefusal extends AppError {
  readonly reason: ConnectionRefusalReason;

  constructor(reason: ConnectionRefusalReason) {
    super(reason === 'full' ? 'unavailable' : 'too_many_requests', SENTENCES[reason], {
      retryAfter: PAUSES[reason],
    });
    this.reason = reason;
  }
}

export interface ConnectionLimitsOptions {
  /** ConnectionLimits of this process, for all transports together. */
  total: number;
  /** The share of one address, in percent. */
  addressShare: number;
  /** Whether the limits per user and address apply. The limit of unauthenticated connections always does. */
  limited: boolean;
  onRefused: (reason: ConnectionRefusalReason) => void;
  log: Logger;
}

/**
 * Connection limits of this process, for long-lived connections: sockets, event streams and long-polls. One user may
 * have a small share of them and one address a larger one, so that neither can use up all.
 *
 * Each worker counts separately: counted together, a sender could have its whole share on one worker and fill it.
 */
export class ConnectionLimits {
  readonly total: number;
  /** ConnectionLimits that one user, and one address, may have. */
  readonly perUser: number;
  readonly perAddress: number;
  readonly #options: ConnectionLimitsOptions;
  readonly #users = new Counts<number>();
  readonly #addresses = new Counts<string>();
  /** Connections that have not authenticated, by address. A long-polling session is one also while none of its requests is there. */
  readonly #unauthenticated = new Counts<string>();
  #taken = 0;
  #hasWarned = false;

  constructor(options: ConnectionLimitsOptions) {
    const { total } = options;
    this.#options = options;
    this.total = total;
    this.perAddress = this.#addressShareOf(total);
    this.perUser = Math.max(
      1,
      Math.floor(Math.max(total * USER_SHARE, Math.min(USER_LEAST, total * USER_LEAST_SHARE))),
    );
  }

  get taken(): number {
    return this.#taken;
  }

  /** Users and addresses that have a place. */
  get holders(): number {
    return this.#users.size + this.#addresses.size + this.#unauthenticated.size;
  }

  /** What one address may have of so many TCP connections. */
  connectionsPerAddress(total: number): number {
    return this.#options.limited ? this.#addressShareOf(total) : Infinity;
  }

  /**
   * Takes a place for a connection. It must be released when the connection is over.
   * @param userId undefined: it has not authenticated yet
   * @throws {ConnectionRefusal} 429, 503
   */
  take(address: string, userId?: number): ConnectionSlot {
    if (this.#taken >= this.total) throw this.#refusal('full', address);
    if (userId === undefined && this.#unauthenticated.of(address) >= this.perAddress)
      throw this.#refusal('unauthenticated', address);
    if (this.#options.limited && this.#addresses.of(address) >= this.perAddress)
      throw this.#refusal('address', address);
    if (userId !== undefined) this.#requireShare(userId, address);
    this.#taken += 1;
    this.#addresses.add(address, 1);
    if (userId === undefined) this.#unauthenticated.add(address, 1);
    else this.#users.add(userId, 1);
    return new ConnectionSlot(this, address, userId);
  }

  /** For `ConnectionSlot`. @throws {ConnectionRefusal} 429 */
  reassign(address: string, before: number | undefined, after: number | undefined): void {
    if (after !== undefined) this.#requireShare(after, address);
    this.#leave(address, before);
    if (after === undefined) this.#unauthenticated.add(address, 1);
    else this.#users.add(after, 1);
  }

  /** For `ConnectionSlot`. */
  giveBack(address: string, userId: number | undefined): void {
    this.#taken -= 1;
    this.#addresses.add(address, -1);
    this.#leave(address, userId);
  }

  #leave(address: string, userId: number | undefined): void {
    if (userId === undefined) this.#unauthenticated.add(address, -1);
    else this.#users.add(userId, -1);
  }

  #requireShare(userId: number, address: string): void {
    if (this.#options.limited && this.#users.of(userId) >= this.perUser) throw this.#refusal('user', address);
  }

  #refusal(reason: ConnectionRefusalReason, address: string): ConnectionRefusal {
    this.#options.onRefused(reason);
    if (reason === 'address' || reason === 'unauthenticated') this.warnOf(address);
    return new ConnectionRefusal(reason);
  }

  /** Logs once that an address has reached its limit: it may be a proxy that is not configured. */
  warnOf(address: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#options.log.warn(
      { address, places: this.perAddress },
      'an address has used up its share of the connections; if it is a proxy, set TRUST_PROXY; if many people share it, raise ADDRESS_SHARE',
    );
  }

  #addressShareOf(total: number): number {
    return Math.max(1, Math.floor((total * this.#options.addressShare) / 100));
  }
}

/** The place of one connection. */
export class ConnectionSlot {
  /** Whose share it is of. */
  readonly address: string;
  readonly #places: ConnectionLimits;
  #userId: number | undefined;
  #released = false;

  constructor(places: ConnectionLimits, address: string, userId: number | undefined) {
    this.#places = places;
    this.address = address;
    this.#userId = userId;
  }

  /**
   * Counts it for the user who the connection says it is from; undefined: it has turned out not to be.
   * @throws {ConnectionRefusal} 429 if the user has its share; then nothing has changed
   */
  assign(userId: number | undefined): void {
    if (this.#released || userId === this.#userId) return;
    this.#places.reassign(this.address, this.#userId, userId);
    this.#userId = userId;
  }

  /** Gives it back. Idempotent: a connection can end in several ways at once. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#places.giveBack(this.address, this.#userId);
  }
}

/** Numbers by key; a key whose number is zero is forgotten. */
class Counts<K> {
  readonly #counts = new Map<K, number>();

  get size(): number {
    return this.#counts.size;
  }

  of(key: K): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: K, by: 1 | -1): void {
    const count = this.of(key) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}
