import { signal } from '@preact/signals';
import { TidingsError } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { takeFromFragment } from '../places/fragment.ts';
import { service } from '../service.ts';
import { changedTo, presence } from './account.ts';
import { goToDoor } from './door.ts';
import { invitation } from './invitation.ts';

interface MailedLink {
  /** A new password, or an address that is put back. */
  kind: 'reset' | 'undo';
  token: string;
}

/** The link of a mail in the address of the page, until it has been used. */
export const mailedLink = signal<MailedLink | undefined>(undefined);

/** Takes the token out of the address. One that verifies an address is used at once. */
export function takeMailedLink(): void {
  const verified = takeFromFragment('verify');
  if (verified !== undefined) void verify(verified);
  for (const kind of ['reset', 'undo'] as const) {
    const token = takeFromFragment(kind);
    if (token !== undefined) mailedLink.value = { kind, token };
  }
}

/** Takes the invitation out of the address, `/#invitation=…`. Who has one wants to sign up, unless they are logged in. */
export function takeInvitation(): void {
  const given = takeFromFragment('invitation');
  if (given === undefined || presence.peek().state === 'in') return;
  invitation.value = given;
  goToDoor('sign-up');
}

async function verify(token: string): Promise<void> {
  try {
    await service.verifyEmail(token);
    notify(say('account.emailVerified'));
    if (service.session.loggedIn) changedTo(await service.me());
  } catch (error) {
    const isFinal = error instanceof TidingsError && error.status < 500 && error.status >= 400;
    const again = { label: say('again'), run: () => void verify(token) };
    notify(sentenceOf(error, { unauthorized: 'link.over' }), 'failed', isFinal ? undefined : again);
  }
}
