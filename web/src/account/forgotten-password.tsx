import { useState } from 'preact/hooks';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { changedTo, farewell } from './account.ts';
import { mailedLink } from './mailed-link.ts';

/** Asks for a mail with a link to a new password. */
export function ForgottenPassword() {
  const [asked, setAsked] = useState<string>();
  if (asked !== undefined) return <p role="status">{say('forgotten.done', { email: asked })}</p>;
  return (
    <AccountForm
      title={say('welcome.forgot')}
      verb={say('forgotten.verb')}
      fields={[{ name: 'email', label: say('account.email'), type: 'email', autocomplete: 'email' }]}
      run={async ({ email = '' }) => {
        await service.forgotPassword(email.trim());
        setAsked(email.trim());
      }}
    />
  );
}

/** Chooses a new password with the link of a mail. */
export function NewPassword({ token }: { token: string }) {
  return (
    <AccountForm
      title={say('reset.title')}
      verb={say('account.passwordVerb')}
      fields={[
        {
          name: 'password',
          label: say('account.newPassword'),
          type: 'password',
          autocomplete: 'new-password',
          hint: say('reset.hint'),
        },
      ]}
      run={async ({ password = '' }) => {
        await service.resetPassword({ token, password });
        farewell.value = say('reset.done');
        mailedLink.value = undefined;
      }}
    />
  );
}

/** Puts an address back with the link of a mail. */
export function AddressBack({ token }: { token: string }) {
  const [done, setDone] = useState(false);
  if (done) return <p role="status">{say('addressBack.done')}</p>;
  return (
    <AccountForm
      title={say('addressBack.title')}
      verb={say('addressBack.verb')}
      fields={[]}
      run={async () => {
        await service.undoEmailChange(token);
        setDone(true);
        // A session that has ended with it says so by itself.
        if (service.session.loggedIn) void service.me().then(changedTo, () => undefined);
      }}
    />
  );
}
