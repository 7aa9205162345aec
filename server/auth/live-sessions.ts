import { QueryTypes } from 'sequelize';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { MicroBatcher } from '../database/micro-batcher.ts';
import { prepared } from '../database/prepared.ts';
import { type AppError, refuseWhile, unauthorized, unavailable } from '../errors.ts';
import { type EndOfSessions, ends, type Identity } from '../identity.ts';
import { keyIsNotValid } from './api-keys.ts';
import { LAST_SEEN_STEP } from './last-seen.ts';
import type { Senders } from '../queues/queue-limit.ts';

/** How many sessions the cache holds. One entry takes about 150 bytes. */
const MAX_REMEMBERED = 50_000;
/** How old the node's last read of the revocations may be for the cache to be valid. Milliseconds. */
const MAX_STALENESS = 1000;

/**
 * Concurrent queries, behind which a storm of handshakes is batched; and the maximum number of sessions in one query.
 */
const LOOKS = 2;
const MOST = 500;
/** Maximum number of waiting session checks. */
const MAX_WAITING = 10_000;

const LIVE = prepared(
  'select id, user_id from sessions where id = any($1::uuid[]) and revoked_at is null and expires_at > now()',
);

/** The answer to an access token whose session has ended. */
export function sessionHasEnded(): AppError {
  return unauthorized('The session of this access token has ended.');
}

interface Remembered {
  userId: number;
  /** When `onSeen` was told of it last, in milliseconds since 1970. */
  seenAt: number;
}

interface Ask {
  sessionId: string;
  senders: Senders;
  resolve: (userId: number | undefined) => void;
  reject: (error: unknown) => void;
}

/**
 * Checks whether a token's login session is still alive. Reads may be answered from a cache. Every revocation that the
 * node receives corrects it, and it is only valid while the node receives them: so after a revocation a token works on
 * another node for at most a second for reads, and not at all for writes.
 */
export class LiveSessions {
  readonly #db: DatabaseShare;
  readonly #heardAt: () => number;
  readonly #absence: () => string | undefined;
  readonly #onRefused: (() => void) | undefined;
  readonly #onSeen: ((sessionId: string) => void) | undefined;
  /** By session. A Map keeps insertion order: the oldest entry is the first. */
  readonly #remembered = new Map<string, Remembered>();
  readonly #byUser = new Map<number, Set<string>>();
  /** Grows with each revocation: a result that was in progress meanwhile must not be cached. */
  #revocations = 0;
  readonly #asks = new MicroBatcher<Ask>({
    atOnce: LOOKS,
    most: MOST,
    sendersOf: ({ senders }) => senders,
    bound: { most: MAX_WAITING, refuse: (ask) => this.#refuse(ask) },
    round: (asks) => this.#look(asks),
  });

  /**
   * @param heardAt when the node last read the revocations, in milliseconds since 1970
   * @param absence why the table of sessions cannot be trusted now, if so
   * @param told `onRefused` of each check that is refused because too many wait, `onSeen` of a session that is used, at
   *   least once in each step of `last_seen_at`
   */
  constructor(
    db: DatabaseShare,
    heardAt: () => number,
    absence: () => string | undefined,
    { onRefused, onSeen }: { onRefused?: () => void; onSeen?: (sessionId: string) => void } = {},
  ) {
    this.#db = db;
    this.#heardAt = heardAt;
    this.#absence = absence;
    this.#onRefused = onRefused;
    this.#onSeen = onSeen;
  }

  /** Session checks that are waiting. */
  get waiting(): number {
    return this.#asks.waiting;
  }

  /**
   * @param fresh whether memory will not do
   * @param senders whose turn it takes, if it has to be looked up
   * @throws {AppError} 401 unless the session lives, 503 while the tables are away or if too many wait
   */
  async require(
    identity: Identity,
    { fresh, senders }: { fresh: boolean; senders: () => Senders },
  ): Promise<void> {
    if (
      !fresh &&
      this.#remembered.get(identity.sessionId)?.userId === identity.id &&
      Date.now() - this.#heardAt() < MAX_STALENESS
    ) {
      this.#noteSeen(identity.sessionId);
      return;
    }
    const before = this.#revocations;
    refuseWhile(this.#absence());
    if ((await this.#lookUp(identity.sessionId, senders())) !== identity.id) {
      refuseWhile(this.#absence());
      this.#forget(identity.sessionId);
      throw identity.scopes ? keyIsNotValid() : sessionHasEnded();
    }
    if (before === this.#revocations) this.#remember(identity);
    this.#noteSeen(identity.sessionId);
  }

  /** A revocation, from the database or over Redis. */
  end(end: EndOfSessions): void {
    this.#revocations += 1;
    for (const sessionId of this.#byUser.get(end.userId) ?? []) {
      if (ends(end, end.userId, sessionId)) this.#forget(sessionId);
    }
  }

  /** The database has changed: the cache of the old one is invalid. */
  forgetAll(): void {
    this.#revocations += 1;
    this.#remembered.clear();
    this.#byUser.clear();
  }

  /** Whose session it is, unless it has ended. */
  #lookUp(sessionId: string, senders: Senders): Promise<number | undefined> {
    return new Promise((resolve, reject) => this.#asks.add({ sessionId, senders, resolve, reject }));
  }

  #refuse(ask: Ask): void {
    this.#onRefused?.();
    ask.reject(unavailable('Too many session checks are waiting. Try again.', 1));
  }

  /** One statement for all of them. */
  async #look(asks: readonly Ask[]): Promise<void> {
    try {
      const rows = await this.#db.query<{ id: string; user_id: number }>(LIVE, {
        type: QueryTypes.SELECT,
        bind: [[...new Set(asks.map((ask) => ask.sessionId))]],
      });
      const owners = new Map(rows.map((row) => [row.id, row.user_id]));
      for (const { sessionId, resolve } of asks) resolve(owners.get(sessionId));
    } catch (error) {
      for (const { reject } of asks) reject(error);
    }
  }

  /** A session has been used: that is told once in each step. */
  #noteSeen(sessionId: string): void {
    const known = this.#remembered.get(sessionId);
    const now = Date.now();
    if (known && now - known.seenAt < LAST_SEEN_STEP) return;
    if (known) known.seenAt = now;
    this.#onSeen?.(sessionId);
  }

  #remember({ id, sessionId }: Identity): void {
    if (this.#remembered.has(sessionId)) return;
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const [oldest] = this.#remembered.keys();
      if (oldest !== undefined) this.#forget(oldest);
    }
    this.#remembered.set(sessionId, { userId: id, seenAt: 0 });
    const ofUser = this.#byUser.get(id);
    if (ofUser) ofUser.add(sessionId);
    else this.#byUser.set(id, new Set([sessionId]));
  }

  #forget(sessionId: string): void {
    const { userId } = this.#remembered.get(sessionId) ?? {};
    if (userId === undefined) return;
    this.#remembered.delete(sessionId);
    const ofUser = this.#byUser.get(userId);
    ofUser?.delete(sessionId);
    if (ofUser?.size === 0) this.#byUser.delete(userId);
  }
}
