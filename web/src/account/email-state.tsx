import { useEffect } from 'preact/hooks';
import { type OwnUser, TidingsError } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { service } from '../service.ts';
import { askService, sendsMail } from './service-info.ts';

/** What is still to be proved of one's address, with a way to have the link sent again. */
export function EmailState({ me: { email, email_verified, pending_email } }: { me: OwnUser }) {
  useEffect(() => void askService(), []);
  if (!sendsMail.value || (email_verified && pending_email === null)) return null;
  const send = async () => {
    try {
      await service.requestVerification();
      notify(`A mail with a link is on its way to ${pending_email ?? email}.`);
    } catch (error) {
      notify(error instanceof TidingsError ? error.message : String(error), 'failed');
    }
  };
  return (
    <p role="status">
      {pending_email === null
        ? 'Your address is not verified yet: open the link in the mail that you were sent. '
        : `${pending_email} takes the place of your address once you open the link in the mail to it. Until then log in with ${email}. `}
      <button type="button" class="plain" onClick={() => void send()}>
        Send it again
      </button>
    </p>
  );
}
