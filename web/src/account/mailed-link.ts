import { signal } from '@preact/signals';
import { TidingsError } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { changedTo } from './account.ts';

interface MailedLink {
  /** A new password, or an address that is put back. */
  kind: 'reset' | 'undo';
  token: string;
}

/** The link of a mail in the address of the page, until it has been used. */
export const mailedLink = signal<MailedLink | undefined>(undefined);

/**
 * Takes the token out of the address: it must not stay in the history of the browser. One that verifies an address is
 * used at once.
 */
export function takeMailedLink(): void {
  for (const [kind, token] of new URLSearchParams(location.hash.slice(1))) {
    if (kind === 'verify') void verify(token);
    else if (kind === 'reset' || kind === 'undo') mailedLink.value = { kind, token };
    else continue;
    history.replaceState(history.state, '', location.pathname + location.search);
    return;
  }
}

async function verify(token: string): Promise<void> {
  try {
    await service.verifyEmail(token);
    notify(say('account.emailVerified'));
    if (service.session.loggedIn) changedTo(await service.me());
  } catch (error) {
    const isFinal = error instanceof TidingsError && error.status < 500 && error.status >= 400;
    const again = { label: say('again'), run: () => void verify(token) };
    notify(sentenceOf(error), 'failed', isFinal ? undefined : again);
  }
}
