import { AppError } from '../errors.ts';
import type { Identity, Scope } from '../identity.ts';

/**
 * Makes sure that an API key may do something. A login session may do everything.
 * @param scope what a key needs; undefined: no key may do it
 * @throws {AppError} 403, with the challenge of RFC 6750
 */
export function requireScope({ scopes }: Identity, scope: Scope | undefined): void {
  if (scopes === undefined || (scope !== undefined && scopes.includes(scope))) return;
  const challenge = 'Bearer error="insufficient_scope"';
  throw scope === undefined
    ? new AppError('insufficient_scope', 'No API key may do this. Log in.', {
        headers: { 'WWW-Authenticate': challenge },
      })
    : new AppError('insufficient_scope', `This API key does not have the scope ${scope}.`, {
        headers: { 'WWW-Authenticate': `${challenge}, scope="${scope}"` },
      });
}
