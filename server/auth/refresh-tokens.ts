import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A session's UUID, 256 secret bits and a signature of 256 bits, each in base64url. */
const FORM = /^([\w-]{22})([\w-]{43})([\w-]{43})$/;

/** A refresh token, and what is stored of it. */
export interface RefreshSecret {
  token: string;
  hash: Buffer;
}

/**
 * Creates and recognises refresh tokens. The database stores a token's hash. A token also contains its session's id,
 * signed with the keys of the access tokens: so a token whose row has been deleted is still recognised as issued here,
 * and nobody can forge one to end another's session.
 */
export class RefreshTokens {
  readonly #secrets: readonly string[];

  /** @param secrets the first signs, every one verifies */
  constructor(secrets: readonly string[]) {
    this.#secrets = secrets;
  }

  /** A new one, of random bits. */
  create(sessionId: string): RefreshSecret {
    return this.#make(this.#secrets[0] ?? '', sessionId, randomBytes(32));
  }

  /**
   * The successors of this token: always the same, and known to nobody without the token. This node issues the first
   * one; the others are what a node that signs with another of the secrets would have issued.
   */
  successorsOf(token: string, salt: Buffer, sessionId: string): [RefreshSecret, ...RefreshSecret[]] {
    const bits = createHmac('sha256', token).update(salt).digest();
    const [first = '', ...others] = this.#secrets;
    return [
      this.#make(first, sessionId, bits),
      ...others.map((secret) => this.#make(secret, sessionId, bits)),
    ];
  }

  /**
   * The session that a token was issued for, if its signature is valid. Whether the token is still valid is in its row.
   */
  sessionOf(token: string): string | undefined {
    const [, session = '', bits = '', signature = ''] = FORM.exec(token) ?? [];
    if (signature === '') return undefined;
    const claimed = Buffer.from(signature);
    const made = this.#secrets.some((secret) =>
      timingSafeEqual(Buffer.from(sign(secret, session + bits)), claimed),
    );
    if (!made) return undefined;
    return Buffer.from(session, 'base64url')
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  #make(secret: string, sessionId: string, bits: Buffer): RefreshSecret {
    const session = Buffer.from(sessionId.replaceAll('-', ''), 'hex').toString('base64url');
    const text = session + bits.toString('base64url');
    const token = text + sign(secret, text);
    return { token, hash: hashRefreshToken(token) };
  }
}

/** The prefix keeps it apart from everything else that is signed with the same key. */
function sign(secret: string, text: string): string {
  return createHmac('sha256', secret).update(`refresh token:${text}`).digest('base64url');
}

/** The salt from which, together with a token, its successor is derived. */
export function newSalt(): Buffer {
  return randomBytes(32);
}

/** A plain hash suffices for a random secret of this length. */
export function hashRefreshToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
