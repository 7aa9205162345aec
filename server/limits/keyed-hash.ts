import { createHmac } from 'node:crypto';

/** A key for `keyedHash`, made of a secret of the service. */
export function keyedHashKey(secret: string, purpose: string): Buffer {
  return createHmac('sha256', secret).update(purpose).digest();
}

/** What is kept in place of an address or a name: there are few enough of them to try all, so it is made with a key. */
export function keyedHash(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url').slice(0, 22);
}
