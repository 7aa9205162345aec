import jwt from 'jsonwebtoken';
import { unauthorized } from '../errors.ts';
import type { Identity } from '../identity.ts';

const ISSUER = 'tidings';
const AUDIENCE = 'tidings';
/** Longer than any token of ours: what is longer is not worth a signature check. */
const MAX_TOKEN_LENGTH = 2048;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Tokens that are remembered. Some 500 bytes each. */
const MAX_REMEMBERED = 20_000;

/** Signs and verifies access tokens (RFC 7519, HS256). The first secret signs, every one verifies: so keys rotate. */
export class AccessTokens {
  readonly #secrets: readonly string[];
  readonly #ttl: number;
  /** Tokens that have been found good: what they say does not change, and a client shows the same one a thousand times. */
  readonly #verified = new Map<string, Identity>();

  /** @param ttl milliseconds */
  constructor(secrets: readonly string[], ttl: number) {
    if (secrets.length === 0) throw new Error('access tokens need a secret');
    this.#secrets = secrets;
    this.#ttl = ttl;
  }

  /** Seconds, as `expires_in` of RFC 6749 tells it. */
  get expiresIn(): number {
    return Math.floor(this.#ttl / 1000);
  }

  sign(userId: number, sessionId: string): string {
    return jwt.sign({ use: 'access', sid: sessionId }, this.#secrets[0] ?? '', {
      algorithm: 'HS256',
      subject: String(userId),
      issuer: ISSUER,
      audience: AUDIENCE,
      expiresIn: this.expiresIn,
    });
  }

  /**
   * Whose token it is. Its session has still to be looked up.
   * @throws {AppError} 401, with the same sentence for everything but an expired token: what is wrong with a forged one
   * is nobody's business.
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
        // A signature that fits is needed to get this far: the holder may know.
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
