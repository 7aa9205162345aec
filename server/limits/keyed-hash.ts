import { createHmac } from 'node:crypto';

/** A key for `keyedHash`, made of a secret of the service. */
export function keyedHashKey(secret: string, purpose: string): Buffer {
  return createHmac('sha256', secret).update(purpose).digest();
}

/** A keyed hash that is stored instead of an address or a name: a plain hash could be reversed by trying all. */
export function keyedHash(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url').slice(0, 22);
}
