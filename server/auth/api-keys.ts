import { QueryTypes } from 'sequelize';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { MicroBatcher } from '../database/micro-batcher.ts';
import { type AppError, refuseWhile, unauthorized, unavailable } from '../errors.ts';
import type { Identity, Scope } from '../identity.ts';
import { hashOf, newToken } from '../mail/tokens.ts';
import type { Senders } from '../queues/queue-limit.ts';
import { isLive } from './present.ts';

/** What keys begin with, so that programs which look for secrets in sources find them. */
const PREFIX = 'tdk_';
/** The prefix, and 256 random bits in base64url. */
const FORM = /^tdk_[\w-]{43}$/;
/** Keys in the cache. About 300 bytes each. */
const MAX_REMEMBERED = 20_000;
/** Concurrent queries, the most keys in one of them, and the most that wait. */
const [LOOKS, MOST, MAX_WAITING] = [2, 500, 10_000];

interface Ask {
  hash: string;
  senders: Senders;
  resolve: (identity: Identity | undefined) => void;
  reject: (error: unknown) => void;
}

interface KeyRow {
  hash: Buffer;
  id: string;
  user_id: number;
  expires_at: Date;
  scopes: Scope[];
}

/**
 * A new key, and what the database has of it: a plain hash suffices for a random secret of this length, and a key outlives a
 * change of `JWT_SECRET`.
 */
export function newApiKey(): { key: string; hash: Buffer } {
  const key = PREFIX + newToken();
  return { key, hash: hashOf(key) };
}

/** The answer to a key that is none, has expired or was revoked: which of them it is says nothing. */
export function keyIsNotValid(): AppError {
  return unauthorized('The API key is not valid.');
}

/** Whether what a client sends as its token is meant as an API key. */
export function isApiKey(token: string): boolean {
  return token.startsWith(PREFIX);
}

/**
 * Finds out whose an API key is. A key is a session of another kind: what it may do never changes, so that is cached, and
 * whether it has ended is asked of `LiveSessions`, as of every session. An unknown key is looked up each time, those of
 * one address taking turns with those of others.
 */
export class ApiKeys {
  readonly #db: DatabaseShare;
  readonly #absence: () => string | undefined;
  readonly #onRefused: () => void;
  /** By the hash of the key. A Map keeps insertion order: the oldest entry is the first. */
  readonly #remembered = new Map<string, Identity>();
  /** Grows when all is forgotten: a result that was in progress meanwhile must not be cached. */
  #forgotten = 0;
  readonly #asks = new MicroBatcher<Ask>({
    atOnce: LOOKS,
    most: MOST,
    sendersOf: ({ senders }) => senders,
    bound: {
      most: MAX_WAITING,
      refuse: (ask) => {
        this.#onRefused();
        ask.reject(unavailable('Too many API keys are being looked up. Try again.', 1));
      },
    },
    round: (asks) => this.#look(asks),
  });

  /**
   * @param absence why the table cannot be trusted now, if so
   * @param onRefused told of each look-up that is refused because too many wait
   */
  constructor(db: DatabaseShare, absence: () => string | undefined, onRefused: () => void) {
    this.#db = db;
    this.#absence = absence;
    this.#onRefused = onRefused;
  }

  /**
   * Whose key it is. Its session must still be checked.
   * @param senders whose turn it takes, if it has to be looked up
   * @throws {AppError} 401 for a key that is none; 503 while the table is away or if too many wait
   */
  async identify(key: string, senders: Senders): Promise<Identity> {
    if (!FORM.test(key)) throw keyIsNotValid();
    const hash = hashOf(key).toString('hex');
    const known = this.#remembered.get(hash);
    if (known) {
      if (known.expiresAt > Date.now()) return known;
      this.#remembered.delete(hash);
      throw keyIsNotValid();
    }
    const before = this.#forgotten;
    refuseWhile(this.#absence());
    const identity = await new Promise<Identity | undefined>((resolve, reject) =>
      this.#asks.add({ hash, senders, resolve, reject }),
    );
    if (!identity) {
      refuseWhile(this.#absence());
      throw keyIsNotValid();
    }
    if (before === this.#forgotten) this.#remember(hash, identity);
    return identity;
  }

  /** The database has changed. */
  forgetAll(): void {
    this.#forgotten += 1;
    this.#remembered.clear();
  }

  #remember(hash: string, identity: Identity): void {
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const [oldest] = this.#remembered.keys();
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
    this.#remembered.set(hash, identity);
  }

  /** One statement for all of them. */
  async #look(asks: readonly Ask[]): Promise<void> {
    try {
      const rows = await this.#db.query<KeyRow>(
        `select k.hash, s.id, s.user_id, s.expires_at, k.scopes
         from api_keys k join sessions s on s.id = k.session_id
         where k.hash = any($1::bytea[]) and ${isLive}`,
        {
          type: QueryTypes.SELECT,
          bind: [[...new Set(asks.map(({ hash }) => hash))].map((hash) => Buffer.from(hash, 'hex'))],
        },
      );
      const found = new Map(
        rows.map(({ hash, id, user_id, expires_at, scopes }) => [
          hash.toString('hex'),
          { id: user_id, sessionId: id, expiresAt: expires_at.getTime(), scopes },
        ]),
      );
      for (const { hash, resolve } of asks) resolve(found.get(hash));
    } catch (error) {
      for (const { reject } of asks) reject(error);
    }
  }
}
