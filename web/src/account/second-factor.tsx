import { useEffect, useState } from 'preact/hooks';
import type { OwnUser, SecondFactorView, TotpSetup } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { ownPassword } from './own-password.ts';

/** Has logins ask for a code of an app, or for none any more. */
export function SecondFactor({ me }: { me: OwnUser }) {
  const login = me.email;
  const [state, setState] = useState<SecondFactorView>();
  const [setup, setSetup] = useState<TotpSetup>();
  const [recoveryCodes, setRecoveryCodes] = useState<readonly string[]>();
  const [trouble, setTrouble] = useState<string>();

  const load = async () => {
    try {
      setState(await service.secondFactor.state());
      setTrouble(undefined);
    } catch (error) {
      setTrouble(`Whether your logins ask for a code could not be loaded. ${sentenceOf(error)}`);
    }
  };
  useEffect(() => void load(), []);

  const begin = async ({ password }: Record<string, string>) =>
    setSetup(await service.secondFactor.begin(password));
  const confirm = async ({ code = '' }: Record<string, string>) => {
    setRecoveryCodes(await service.secondFactor.confirm(code.trim()));
    setSetup(undefined);
    await load();
  };
  const end = async ({ password }: Record<string, string>) => {
    await service.secondFactor.end(password);
    setRecoveryCodes(undefined);
    await load();
    notify('Your logins ask for no code any more.');
  };
  return (
    <section>
      <h2>Second factor</h2>
      {trouble !== undefined && <p role="alert">{trouble}</p>}
      {recoveryCodes !== undefined && (
        <div role="status">
          <p>
            Your logins ask for a code from now on. <strong>Keep these recovery codes</strong>: each is good
            for one login without the app, and they are not shown again.
          </p>
          <ul aria-label="Recovery codes">
            {recoveryCodes.map((code) => (
              <li key={code}>
                <code>{code}</code>
              </li>
            ))}
          </ul>
        </div>
      )}
      {state?.on === false && setup === undefined && (
        <>
          <p class="muted">Besides your password, a login can ask for a code of an authenticator app.</p>
          <AccountForm
            key="begin"
            title="Second factor"
            login={login}
            verb="Set it up"
            passwordField="password"
            fields={ownPassword(me)}
            run={begin}
          />
        </>
      )}
      {setup !== undefined && (
        <>
          <p>
            Open <a href={setup.uri}>this link</a> on the device with the app, or type this secret into it:{' '}
            <code>{setup.secret}</code>
          </p>
          <AccountForm
            key="confirm"
            title="Second factor"
            verb="Turn it on"
            codeField="code"
            fields={[
              {
                name: 'code',
                label: 'Code',
                type: 'text',
                autocomplete: 'one-time-code',
                hint: 'The six digits that the app shows.',
              },
            ]}
            run={confirm}
          />
        </>
      )}
      {state?.on === true && (
        <>
          <p class="muted">
            Your logins ask for a code. {state.recovery_codes} of your recovery codes are left.
          </p>
          <AccountForm
            key="end"
            title="Second factor"
            login={login}
            verb="Turn it off"
            passwordField="password"
            fields={ownPassword(me)}
            run={end}
          />
        </>
      )}
    </section>
  );
}
