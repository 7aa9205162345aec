import type { User } from '../../models/index.ts';
import type { NewMail } from './outbox.ts';

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

If this was not you, somebody else can log in to your account. Tell the operator of the service.
`,
    lifetime: 3 * DAY,
  };
}
