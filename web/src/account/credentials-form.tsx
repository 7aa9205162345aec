import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Field } from '../chrome/field.tsx';
import { useFaults } from '../chrome/faults.ts';
import { TidingsError } from 'tidings-client';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import type { Intent } from './door.ts';
import { invitation } from './invitation.ts';
import { signUpMode } from './service-info.ts';

interface CredentialsFormProps {
  intent: Intent;
  /** The address that is in it at the beginning. */
  email: string;
}

/** Signs somebody up, or logs them in. What becomes of it is seen in `presence`. */
export function CredentialsForm({ intent, email }: CredentialsFormProps) {
  const form = useRef<HTMLFormElement>(null);
  const [busy, setBusy] = useState(false);
  const invited = intent === 'sign-up' && signUpMode.value === 'invite';
  const [asksForCode, setAsksForCode] = useState(false);
  const names =
    intent === 'log-in'
      ? ['email', 'password', ...(asksForCode ? ['otp'] : [])]
      : [...(invited ? ['invitation'] : []), 'username', 'email', 'password'];
  const { faults, clear, show } = useFaults(names, form, {
    codeField: 'otp',
    recoverable: asksForCode,
    refusals: intent === 'sign-up' ? { network: 'problem.unanswered' } : {},
  });
  const [passwordShown, setPasswordShown] = useState(false);
  const password = useRef<HTMLInputElement>(null);

  useLayoutEffect(() => {
    // On a telephone it would open the keyboard over the page before anyone has seen it.
    if (!matchMedia('(pointer: fine)').matches) return;
    const inputs = [...(form.current?.querySelectorAll('input') ?? [])];
    inputs.find(({ value }) => value === '')?.focus();
  }, []);

  const submit = async (data: FormData) => {
    const given = (name: string) => {
      const value = data.get(name);
      return typeof value === 'string' ? value : '';
    };
    const account = { email: given('email').trim(), password: given('password') };
    const username = given('username').trim();
    const invitation = given('invitation').trim();
    setBusy(true);
    clear();
    try {
      const otp = given('otp').trim();
      if (intent === 'log-in') await service.logIn({ ...account, ...(otp === '' ? {} : { otp }) });
      else
        await service.signUp({
          ...account,
          ...(username === '' ? {} : { username }),
          ...(invitation === '' ? {} : { invitation }),
        });
    } catch (error) {
      setBusy(false);
      const code = error instanceof TidingsError ? error.code : undefined;
      if (code === 'otp_required') setAsksForCode(true);
      // The service has not said so before.
      if (code === 'invitation_required') signUpMode.value = 'invite';
      show(error);
    }
  };

  return (
    <form
      ref={form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void submit(new FormData(event.currentTarget));
      }}
    >
      {invited && (
        <Field
          label={say('welcome.invitation')}
          hint={say('welcome.invitationHint')}
          fault={faults.fields.invitation}
        >
          {(links) => (
            <input
              {...links}
              name="invitation"
              autocomplete="off"
              maxLength={100}
              spellcheck={false}
              defaultValue={invitation.value}
            />
          )}
        </Field>
      )}
      {intent === 'sign-up' && (
        <Field label={say('account.name')} hint={say('welcome.nameHint')} fault={faults.fields.username}>
          {(links) => (
            <input {...links} name="username" autocomplete="nickname" maxLength={30} spellcheck={false} />
          )}
        </Field>
      )}
      <Field
        label={say('account.email')}
        hint={intent === 'sign-up' ? say('account.emailHint') : undefined}
        fault={faults.fields.email}
      >
        {(links) => (
          // What one logs in with: a password manager keeps it beside the password.
          <input
            {...links}
            name="email"
            type="email"
            inputMode="email"
            autocomplete="username"
            defaultValue={email}
          />
        )}
      </Field>
      <Field
        label={say('account.password')}
        hint={intent === 'sign-up' ? say('account.passwordHint') : undefined}
        fault={faults.fields.password}
      >
        {(links) => (
          <span class="with-button">
            <input
              {...links}
              name="password"
              ref={password}
              type="password"
              autocomplete={intent === 'log-in' ? 'current-password' : 'new-password'}
            />
            <button
              type="button"
              class="plain"
              aria-label={say(passwordShown ? 'welcome.hidePassword' : 'welcome.showPassword')}
              onClick={() => {
                setPasswordShown(!passwordShown);
                if (password.current) password.current.type = passwordShown ? 'password' : 'text';
              }}
            >
              {say(passwordShown ? 'welcome.hide' : 'welcome.show')}
            </button>
          </span>
        )}
      </Field>
      {asksForCode && intent === 'log-in' && (
        <Field label={say('factor.code')} hint={say('welcome.codeHint')} fault={faults.fields.otp}>
          {(links) => (
            <input {...links} name="otp" autocomplete="one-time-code" maxLength={50} spellcheck={false} />
          )}
        </Field>
      )}
      {faults.whole !== undefined && (
        <p class="fault" role="alert">
          {faults.whole}
        </p>
      )}
      <button type="submit" class="primary wide" aria-disabled={busy}>
        {say(intent === 'log-in' ? 'welcome.logIn' : 'welcome.signUp')}
      </button>
    </form>
  );
}
