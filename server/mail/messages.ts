import type { User } from '../../models/index.ts';
import type { MailKind, NewMail } from './outbox.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
/** For how long it is tried to send what is only told. Milliseconds. */
const NOTICE_LIFETIME = 3 * DAY;

/** Whose account a mail is about, and where it goes. */
type Recipient = Pick<User, 'id' | 'username' | 'email'>;

/** What a mail says to the owner of an account, and what it is about. @param text without a line break at the end */
function mailTo(
  { id, username, email }: Recipient,
  kind: MailKind,
  { subject, text, lifetime = NOTICE_LIFETIME }: { subject: string; text: string; lifetime?: number },
): NewMail {
  return { userId: id, kind, to: email, subject, text: `Hello ${username},\n\n${text}\n`, lifetime };
}

/** Tells the owner of an account of its new password, at the address that the account had until then. */
export function passwordChanged(to: Recipient, publicUrl: string): NewMail {
  return mailTo(to, 'password_changed', {
    subject: 'Your password was changed',
    text: `the password of your account at ${publicUrl} was changed, and its other sessions have ended.

If this was not you, somebody else can log in to your account. Choose a new password at once, with "Forgot your
password?" where one logs in, or tell the operator of the service.`,
  });
}

/** How long the link of a reset is good. Milliseconds. */
export const RESET_LIFETIME = 30 * MINUTE;

/** Where somebody chooses a new password. The token is in the fragment: no request line, log or `Referer` has it. */
export function resetLink(publicUrl: string, token: string): string {
  return `${publicUrl}/#reset=${token}`;
}

/** A link with which the owner of an account chooses a new password. */
export function passwordReset(to: Recipient, publicUrl: string, token: string): NewMail {
  return mailTo(to, 'password_reset', {
    subject: 'Choose a new password',
    text: `somebody, perhaps you, asked for a new password for your account at ${publicUrl}. Choose one here within 30 minutes:

${resetLink(publicUrl, token)}

The link works once. If you did not ask for it, you need not do anything: your password stays as it is.`,
    lifetime: RESET_LIFETIME,
  });
}

/** How long the link that proves an address is good. Milliseconds. */
export const VERIFICATION_LIFETIME = DAY;

/** A link with which the owner of an account proves that this address is theirs. */
export function emailVerification(to: Recipient, publicUrl: string, token: string): NewMail {
  return mailTo(to, 'email_verification', {
    subject: 'Verify your e-mail address',
    text: `somebody, perhaps you, gave this address for an account at ${publicUrl}. If it was you, verify it here within 24 hours:

${publicUrl}/#verify=${token}

The link works once. If it was not you, you need not do anything.`,
    lifetime: VERIFICATION_LIFETIME,
  });
}

/** Tells the owner of an account, at the address that it has, that another one is to take its place. */
export function emailChange(
  to: Recipient & Pick<User, 'emailVerifiedAt'>,
  publicUrl: string,
  token: string,
): NewMail {
  // The link to an address that was not proved goes with the change: see `createUndo`.
  const time = to.emailVerifiedAt === null ? 'before that' : 'up to seven days after it';
  return mailTo(to, 'email_change', {
    subject: 'Your e-mail address is being changed',
    text: `somebody, perhaps you, gave a new e-mail address for your account at ${publicUrl}. It takes the place of this one as soon
as it is verified.

If this was not you, somebody else knows your password. Undo the change here, ${time}:

${publicUrl}/#undo=${token}

Then choose a new password, with "Forgot your password?" where one logs in.`,
  });
}

/** Tells the owner of an account that this is its address again, with a link to a new password. */
/** @param hadCodes whether a second factor was turned on since, which is off now */
export function emailRestored(
  to: Recipient,
  publicUrl: string,
  { token, hadCodes }: { token: string; hadCodes: boolean },
): NewMail {
  const codes = hadCodes
    ? ' Logins ask for no code any more: codes were turned on after the address was changed.'
    : '';
  return mailTo(to, 'email_restored', {
    subject: 'Your e-mail address is as it was',
    text: `this is the e-mail address of your account at ${publicUrl} again. All sessions have ended, and the password works no more.${codes}
Choose a new one here within 30 minutes:

${resetLink(publicUrl, token)}

The link works once. Later, use "Forgot your password?" where one logs in.`,
    lifetime: RESET_LIFETIME,
  });
}

/** What the owner of an account is told of its second factor. */
const CHANGES = {
  second_factor_on: {
    subject: 'Your logins ask for a code now',
    text: (
      service: string,
    ) => `logins to your account at ${service} ask for a code of an authenticator app from now on.

If this was not you, somebody else is logged in to your account. Choose a new password at once, which ends all other
sessions, and tell the operator of the service, who can turn the codes off.`,
  },
  second_factor_off: {
    subject: 'Your logins ask for no code any more',
    text: (
      service: string,
    ) => `logins to your account at ${service} ask for no code of an authenticator app any more, and its recovery codes are
good for nothing.

If this was not you, and you have not asked the operator of the service for it, somebody else knows your password.
Choose a new one at once, and turn the codes on again.`,
  },
  codes_refused: {
    subject: 'Wrong codes for your account',
    text: (
      service: string,
    ) => `somebody who knows your password has tried to log in to your account at ${service} with wrong codes, so often that no more
are looked at for a day. Nobody got in by it.

If this was not you, choose a new password at once, with "Forgot your password?" where one logs in: then your codes are
looked at again. If it was you, check the clock of your device, or use a recovery code.`,
  },
} as const;

/** Tells the owner of an account of a change of its second factor, or of codes that are guessed. */
export function secondFactorChanged(kind: keyof typeof CHANGES, to: Recipient, publicUrl: string): NewMail {
  const { subject, text } = CHANGES[kind];
  return mailTo(to, kind, { subject, text: text(publicUrl) });
}

/** Tells the owner of an account that a recovery code has let somebody in. @param left how many are left */
export function recoveryCodeUsed(to: Recipient, publicUrl: string, left: number): NewMail {
  const rest =
    left === 0
      ? 'It was the last one. Turn the codes off and on again for new ones.'
      : `${left === 1 ? 'One is' : `${left} are`} left. Turning the codes off and on again gives new ones.`;
  return mailTo(to, 'recovery_code_used', {
    subject: 'A recovery code was used',
    text: `somebody has logged in to your account at ${publicUrl} with a recovery code in place of an app. ${rest}

If this was not you, somebody else has your password and your recovery codes. Choose a new password at once, which ends
all sessions, and turn the codes off and on again.`,
  });
}

/** Tells the owner of an account of a new way to log in to it. */
export function identityLinked(to: Recipient, publicUrl: string, provider: string): NewMail {
  return mailTo(to, 'identity_linked', {
    subject: 'Your account has a new way to log in',
    text: `your account at ${publicUrl} was linked with ${provider}: from now on one can log in to it there.

If this was not you, unlink it in the settings of your account and choose a new password at once, with "Forgot your
password?" where one logs in, or tell the operator of the service.`,
  });
}

/** Tells the owner of an account of an API key that was made for it. */
export function keyCreated(to: Recipient, publicUrl: string): NewMail {
  return mailTo(to, 'key_created', {
    subject: 'Your account has a new API key',
    text: `an API key was made for your account at ${publicUrl}: with it, a program can act for you.

If this was not you, somebody else knows your password. Choose a new one at once, with "Forgot your password?" where one
logs in: that ends all keys and sessions.`,
  });
}

const whyPaused: Record<string, string> = {
  failing: 'Each attempt of the last 24 hours has failed.',
  gone: 'The receiver answered with a 410 (Gone).',
  secret:
    'The secrets of the service have changed, so that the one of the webhook can no longer be read. Give it another.',
};

/**
 * Tells the owner of a webhook that nothing is sent to it any more. Of its address it has the host alone: the rest may be words
 * that somebody wants the service to send.
 * @param reason `failing`, `gone` or `secret`
 */
export function webhookPaused(
  { id, username, email }: Recipient,
  url: string,
  reason: string,
  publicUrl: string,
): NewMail {
  return {
    userId: id,
    kind: 'webhook_paused',
    to: email,
    subject: 'A webhook was paused',
    text: `Hello ${username},

your webhook at ${publicUrl} is paused, which posts events to a server at ${new URL(url).host}.

${whyPaused[reason] ?? ''} What happens meanwhile is sent when you resume it, as far back as the service
keeps its events.
`,
    lifetime: 3 * DAY,
  };
}

/** Tells the owner of an account where from now on what the account may hear is posted to: the host alone, as above. */
export function webhookAdded({ id, username, email }: Recipient, url: string, publicUrl: string): NewMail {
  return {
    userId: id,
    kind: 'webhook_added',
    to: email,
    subject: 'A webhook posts what you hear to a server',
    text: `Hello ${username},

a webhook of your account at ${publicUrl} posts the events that you may hear to a server at
${new URL(url).host}.

If this was not you, choose a new password at once, with "Forgot your password?" where one logs in: that pauses all
webhooks of the account. Delete this one then.
`,
    lifetime: 3 * DAY,
  };
}
