import { createSecretKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { unauthorized } from '../errors.ts';
import type { Identity } from '../identity.ts';

const ISSUER = 'tidings';
const AUDIENCE = 'tidings';
/** Longer than any valid token: a longer one is refused without a signature check. */
const MAX_TOKEN_LENGTH = 2048;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Verified tokens in the cache. About 500 bytes each. */
const MAX_REMEMBERED = 20_000;

/** Signs and verifies access tokens (RFC 7519, HS256). The first secret signs, every one verifies: so keys rotate. */
export class AccessTokens {
  /** Of a secret that is text, jsonwebtoken finds out for each token that it is no PEM: up to forty times the work. */
  readonly #secrets: readonly [KeyObject, ...KeyObject[]];
  readonly #ttl: number;
  /** A cache of verified tokens: their content does not change, and a client sends the same one a thousand times. */
  readonly #verified = new Map<string, Identity>();

  /** @param ttl milliseconds */
  constructor(secrets: readonly string[], ttl: number) {
    const [signs, ...others] = secrets.map((secret) => createSecretKey(secret, 'utf8'));
    if (!signs) throw new Error('access tokens need a secret');
    this.#secrets = [signs, ...others];
    this.#ttl = ttl;
  }

  /** Seconds, as `expires_in` of RFC 6749 tells it. */
  get expiresIn(): number {
    return Math.floor(this.#ttl / 1000);
  }

  sign(userId: number, sessionId: string): string {
    return jwt.sign({ use: 'access', sid: sessionId }, this.#secrets[0], {
      algorithm: 'HS256',
      subject: String(userId),
      issuer: ISSUER,
      audience: AUDIENCE,
      expiresIn: this.expiresIn,
    });
  }

  /**
   * Verifies a token (JWT). Its login session must still be checked.
   * @throws {AppError} 401, with the same message for every invalid token except an expired one, so that it does not
   *   help a forger.
   */
  verify(token: string): Identity {
    const known = this.#verified.get(token);
    if (known && known.expiresAt > Date.now()) return known;
    const identity = this.#check(token);
    if (this.#verified.size >= MAX_REMEMBERED) this.#verified.clear();
    this.#verified.set(token, identity);
    return identity;
  }

  #check(token: string): Identity {
    let claims: unknown;
    for (const secret of token.length <= MAX_TOKEN_LENGTH ? this.#secrets : []) {
      try {
        claims = jwt.verify(token, secret, {
          algorithms: ['HS256'],
          issuer: ISSUER,
          audience: AUDIENCE,
        });
        break;
      } catch (error) {
        // The signature is valid here, so the reason may be told.
        if (error instanceof jwt.TokenExpiredError) throw unauthorized('The access token has expired.');
      }
    }
    const identity = readClaims(claims);
    if (!identity) throw unauthorized('The access token is not valid.');
    return identity;
  }
}

/** jsonwebtoken accepts a token without `exp`, a payload that is a string, and any `sub`: these checks are ours. */
function readClaims(claims: unknown): Identity | undefined {
  if (typeof claims !== 'object' || claims === null) return undefined;
  const { sub, sid, use, exp } = claims as Record<string, unknown>;
  if (use !== 'access' || typeof sid !== 'string' || !UUID.test(sid)) return undefined;
  if (typeof exp !== 'number' || !Number.isSafeInteger(exp)) return undefined;
  if (typeof sub !== 'string' || !/^[1-9]\d{0,15}$/.test(sub)) return undefined;
  const id = Number(sub);
  return Number.isSafeInteger(id) ? { id, sessionId: sid, expiresAt: exp * 1000 } : undefined;
}
