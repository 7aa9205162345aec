import { createHmac, randomBytes } from 'node:crypto';
import type { Seal } from '../mail/seal.ts';

/** How a secret is written, as the Standard Webhooks specification has it. */
const PREFIX = 'whsec_';

/** 32 random bytes in base64, behind `whsec_`. */
export function newWebhookSecret(): string {
  return PREFIX + randomBytes(32).toString('base64');
}

/**
 * The headers of a message, signed by the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`.
 * @param at the attempt, in milliseconds since 1970
 * @param secrets each signs: while they rotate there are two
 */
export function signedHeaders(
  id: string,
  at: number,
  body: string,
  secrets: readonly string[],
): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}

/**
 * The secrets that the messages of a webhook are signed with now, the newest first.
 * @returns none if the newest was sealed with a secret of the service that is no longer configured
 */
export function openSecrets(
  seal: Seal,
  { secret, previous }: { secret: Buffer; previous: Buffer | null },
): string[] {
  const newest = seal.open(secret);
  if (newest === undefined) return [];
  const before = previous ? seal.open(previous) : undefined;
  return before === undefined ? [newest] : [newest, before];
}
