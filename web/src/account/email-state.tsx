import { useEffect } from 'preact/hooks';
import type { OwnUser } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { askService, sendsMail } from './service-info.ts';

/** What is still to be proved of one's address, with a way to have the link sent again. */
export function EmailState({ me: { email, email_verified, pending_email } }: { me: OwnUser }) {
  useEffect(() => void askService(), []);
  if (!sendsMail.value || (email_verified && pending_email === null)) return null;
  const send = async () => {
    try {
      await service.requestVerification();
      notify(say('account.emailMailed', { email: pending_email ?? email }));
    } catch (error) {
      notify(sentenceOf(error), 'failed');
    }
  };
  return (
    <p role="status">
      {pending_email === null
        ? say('account.emailUnverified')
        : say('account.emailPending', { pending: pending_email, email })}{' '}
      <button type="button" class="link" onClick={() => void send()}>
        {say('account.emailAgain')}
      </button>
    </p>
  );
}
