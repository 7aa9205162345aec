import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A session's UUID, 256 secret bits and a signature of 256 bits, each in base64url. */
const FORM = /^([\w-]{22})([\w-]{43})([\w-]{43})$/;

/** A refresh token, and what is stored of it. */
export interface RefreshSecret {
  token: string;
  hash: Buffer;
}

/**
 * Makes refresh tokens, and tells those that were made here. A token is known by its hash in the database. It also says which
 * session it was given to, signed with the keys of the access tokens: so a token whose row has been deleted is still recognised
 * as one that was given out, and nobody can make one up to end another's session.
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
   * What may follow this token: the same as often as it is asked for, and known to nobody without the token. The first is what
   * this node gives out; the others are what a node that signs with another of the secrets would have given.
   */
  successorsOf(token: string, salt: Buffer, sessionId: string): [RefreshSecret, ...RefreshSecret[]] {
    const bits = createHmac('sha256', token).update(salt).digest();
    const [first = '', ...others] = this.#secrets;
    return [
      this.#make(first, sessionId, bits),
      ...others.map((secret) => this.#make(secret, sessionId, bits)),
    ];
  }

  /** Which session a token was given to, if it says so and was made here. Whether it is still good, its row tells. */
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

/** What a token's successor is made from beside the token. */
export function newSalt(): Buffer {
  return randomBytes(32);
}

/** A plain hash is enough for a secret that nobody can guess. */
export function hashRefreshToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
