import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { keyedHashKey } from '../limits/keyed-hash.ts';

const ALGORITHM = 'aes-256-gcm';
const NONCE = 12;
const TAG = 16;

/**
 * Encrypts what a backup of the database must not hold: a link in a mail opens an account, a secret of an app makes its
 * codes. The key is made of a secret of the service; with several, the first seals and each opens.
 */
export class Seal {
  readonly #keys: readonly Buffer[];

  /** @param purpose what it is for: what was sealed for another one is not opened */
  constructor(secrets: readonly string[], purpose: string) {
    this.#keys = secrets.map((secret) => keyedHashKey(secret, `tidings: ${purpose}`));
  }

  close(text: string): Buffer {
    const [key = Buffer.alloc(0)] = this.#keys;
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv(ALGORITHM, key, nonce);
    const content = [cipher.update(text, 'utf8'), cipher.final()];
    return Buffer.concat([nonce, cipher.getAuthTag(), ...content]);
  }

  /** @returns undefined if it was sealed with a secret that is no longer configured */
  open(sealed: Buffer): string | undefined {
    for (const key of this.#keys) {
      const text = openWith(key, sealed);
      if (text !== undefined) return text;
    }
    return undefined;
  }

  /** Whether it was sealed with the secret that seals now: with another one it is to be sealed anew before that one goes. */
  isNewest(sealed: Buffer): boolean {
    const [key] = this.#keys;
    return key !== undefined && openWith(key, sealed) !== undefined;
  }
}

function openWith(key: Buffer, sealed: Buffer): string | undefined {
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE));
  decipher.setAuthTag(sealed.subarray(NONCE, NONCE + TAG));
  try {
    return decipher.update(sealed.subarray(NONCE + TAG), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return undefined;
  }
}
