import type { Identity } from '../identity.ts';
import type { Senders } from '../queues/queue-limit.ts';
import { type ApiKeys, isApiKey } from './api-keys.ts';
import type { AccessTokens } from './tokens.ts';

/**
 * Whose access token or API key it is, whose session must still be checked. At once for what needs no look-up.
 * @param senders whose turn a look-up takes
 * @throws {AppError} 401, 503
 */
export type Identify = (token: string, senders: () => Senders) => Identity | Promise<Identity>;

export function identifyBy(tokens: AccessTokens, apiKeys: ApiKeys): Identify {
  return (token, senders) => (isApiKey(token) ? apiKeys.identify(token, senders()) : tokens.verify(token));
}
