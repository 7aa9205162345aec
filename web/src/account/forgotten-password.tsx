import { useState } from 'preact/hooks';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { farewell } from './account.ts';
import { resetToken } from './reset-token.ts';

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
        resetToken.value = undefined;
      }}
    />
  );
}
