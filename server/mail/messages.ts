import type { User } from '../../models/index.ts';
import type { NewMail } from './outbox.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Whose account a mail is about, and where it goes. */
type Recipient = Pick<User, 'id' | 'username' | 'email'>;

/** Tells the owner of an account of its new password, at the address that the account had until then. */
export function passwordChanged({ id, username, email }: Recipient, publicUrl: string): NewMail {
  return {
    userId: id,
    kind: 'password_changed',
    to: email,
    subject: 'Your password was changed',
    text: `Hello ${username},

the password of your account at ${publicUrl} was changed, and its other sessions have ended.

If this was not you, somebody else can log in to your account. Choose a new password at once, with "Forgot your
password?" where one logs in, or tell the operator of the service.
`,
    lifetime: 3 * DAY,
  };
}

/** How long the link of a reset is good. Milliseconds. */
export const RESET_LIFETIME = 30 * MINUTE;

/** Where somebody chooses a new password. The token is in the fragment: no request line, log or `Referer` has it. */
export function resetLink(publicUrl: string, token: string): string {
  return `${publicUrl}/#reset=${token}`;
}

/** A link with which the owner of an account chooses a new password. */
export function passwordReset({ id, username, email }: Recipient, publicUrl: string, token: string): NewMail {
  return {
    userId: id,
    kind: 'password_reset',
    to: email,
    subject: 'Choose a new password',
    text: `Hello ${username},

somebody, perhaps you, asked for a new password for your account at ${publicUrl}. Choose one here within 30 minutes:

${resetLink(publicUrl, token)}

The link works once. If you did not ask for it, you need not do anything: your password stays as it is.
`,
    lifetime: RESET_LIFETIME,
  };
}
