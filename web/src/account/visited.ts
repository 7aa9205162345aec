import { keepChoice, readChoice } from '../chrome/stored.ts';
import { invitation } from './invitation.ts';

/** Whether somebody has an account that was used in this browser; not whose it is. */
const CHOICE = 'has-account';

/** Somebody has logged in here, so the next visit is no first one; or they have deleted their account. */
export function rememberAccount(has: boolean): void {
  keepChoice(CHOICE, has ? 'yes' : null);
}

/** Whether a visitor has most likely been here before, and wants to log in rather than to sign up. */
export function isReturning(): boolean {
  return readChoice(CHOICE) !== null && invitation.value === '';
}
