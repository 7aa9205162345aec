import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { changedTo, farewell } from './account.ts';
import { mailedLink } from './mailed-link.ts';

/** Asks for a mail with a link to a new password. @param props.email the address that is in it at the beginning */
export function ForgottenPassword({ email: given }: { email: string }) {
  const [asked, setAsked] = useState<string>();
  if (asked !== undefined) return <Done>{say('forgotten.done', { email: asked })}</Done>;
  return (
    <AccountForm
      title={say('welcome.forgot')}
      verb={say('forgotten.verb')}
      autofocus
      fields={[{ name: 'email', label: say('account.email'), type: 'email', autocomplete: 'email', given }]}
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
      refusals={{ unauthorized: 'link.overReset' }}
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
  if (done) return <Done>{say('addressBack.done')}</Done>;
  return (
    <AccountForm
      title={say('addressBack.title')}
      verb={say('addressBack.verb')}
      fields={[]}
      refusals={{ unauthorized: 'link.over' }}
      run={async () => {
        await service.undoEmailChange(token);
        setDone(true);
        // A session that has ended with it says so by itself.
        if (service.session.loggedIn) void service.me().then(changedTo, () => undefined);
      }}
    />
  );
}

/** What has been done, in place of the form for it: it has the focus, which was in that. */
function Done({ children }: { children: string }) {
  const text = useRef<HTMLParagraphElement>(null);
  useLayoutEffect(() => text.current?.focus(), []);
  return (
    <p ref={text} class="done" role="status" tabIndex={-1}>
      {children}
    </p>
  );
}
