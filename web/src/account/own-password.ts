import type { OwnUser } from 'tidings-client';
import { say } from '../languages/say.ts';

/** The field for the own password. An account without one has none: the service asks for a login that is not old. */
export function ownPassword(
  { has_password }: OwnUser,
  name = 'password',
  label = say('account.yourPassword'),
) {
  return has_password ? [{ name, label, type: 'password', autocomplete: 'current-password' } as const] : [];
}
