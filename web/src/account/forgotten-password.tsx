import { useState } from 'preact/hooks';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { changedTo, farewell } from './account.ts';
import { mailedLink } from './mailed-link.ts';

/** Asks for a mail with a link to a new password. */
export function ForgottenPassword() {
  const [asked, setAsked] = useState<string>();
  if (asked !== undefined)
    return (
      <p role="status">
        If an account has the address {asked}, a mail with a link is on its way. The link works for 30
        minutes.
      </p>
    );
  return (
    <AccountForm
      title="Forgot your password?"
      verb="Send me a link"
      fields={[{ name: 'email', label: 'E-mail', type: 'email', autocomplete: 'email' }]}
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
      title="Choose a new password"
      verb="Change the password"
      fields={[
        {
          name: 'password',
          label: 'New password',
          type: 'password',
          autocomplete: 'new-password',
          hint: 'At least 8 characters. You will be logged out everywhere.',
        },
      ]}
      run={async ({ password = '' }) => {
        await service.resetPassword({ token, password });
        farewell.value = 'Your password has been changed. Log in with it.';
        mailedLink.value = undefined;
      }}
    />
  );
}

/** Puts an address back with the link of a mail. */
export function AddressBack({ token }: { token: string }) {
  const [done, setDone] = useState(false);
  if (done)
    return (
      <p role="status">
        Your account has the address that it had. If the new one counted already, a mail with a link to a new
        password is on its way: all sessions have ended.
      </p>
    );
  return (
    <AccountForm
      title="Undo the change of your address"
      verb="Keep the old address"
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
