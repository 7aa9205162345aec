import type { Request } from 'express';
import { unauthorized } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { addressKey } from '../limits/address-key.ts';
import { sendersAt } from '../queues/senders.ts';
import type { AuthContext } from './context.ts';

/** Reads the `Authorization` header (RFC 6750, 2.1). A token anywhere else is ignored. */
export function bearerAuthentication(
  ctx: Pick<AuthContext, 'identify' | 'liveSessions'>,
): (req: Request) => Promise<Identity> {
  return async (req) => {
    const header = req.headers.authorization;
    if (header === undefined)
      throw unauthorized('An access token is required. Send it as Authorization: Bearer …');
    const token = /^Bearer +([\w.~+/=-]+) *$/i.exec(header)?.[1];
    if (token === undefined) throw unauthorized('The Authorization header must have the form: Bearer …');
    const address = addressKey(req.ip ?? '');
    const identity = await ctx.identify(token, () => [address]);
    const reads = req.method === 'GET' || req.method === 'HEAD';
    await ctx.liveSessions.require(identity, {
      fresh: !reads,
      senders: () => sendersAt(address, identity.id),
    });
    return identity;
  };
}
