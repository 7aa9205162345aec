import { useEffect, useRef, useState } from 'preact/hooks';
import { type OwnUser, type SecondFactorView, TidingsError, type TotpSetup } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { Said } from '../languages/said.tsx';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { ownPassword } from './own-password.ts';
import type { QrCode } from './qr-code.ts';

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
      setTrouble(say('factor.unread', { why: sentenceOf(error) }));
    }
  };
  useEffect(() => void load(), []);

  const begin = async ({ password }: Record<string, string>) =>
    setSetup(await service.secondFactor.begin(password));
  const confirm = async ({ code = '' }: Record<string, string>) => {
    try {
      setRecoveryCodes(await service.secondFactor.confirm(code.trim()));
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'network' || !(await isOn())) throw error;
      notify(say('factor.unseen'), 'failed');
    }
    setSetup(undefined);
    await load();
  };
  const end = async ({ password }: Record<string, string>) => {
    await service.secondFactor.end(password);
    setRecoveryCodes(undefined);
    await load();
    notify(say('factor.ended'));
  };
  return (
    <section>
      <h2>{say('factor.title')}</h2>
      {trouble !== undefined && <p role="alert">{trouble}</p>}
      {recoveryCodes !== undefined && <RecoveryCodes codes={recoveryCodes} />}
      {state?.on === false && setup === undefined && (
        <>
          <p class="muted">{say('factor.what')}</p>
          <AccountForm
            key="begin"
            title={say('factor.title')}
            login={login}
            verb={say('factor.begin')}
            passwordField="password"
            fields={ownPassword(me)}
            run={begin}
          />
        </>
      )}
      {setup !== undefined && (
        <>
          <p>
            <Said
              of="factor.link"
              link={<a href={setup.uri}>{say('factor.linkName')}</a>}
              secret={<code>{inFours(setup.secret)}</code>}
            />
          </p>
          <QrCodeOf text={setup.uri} />
          <AccountForm
            key="confirm"
            title={say('factor.title')}
            verb={say('factor.confirm')}
            autofocus
            codeField="code"
            fields={[
              {
                name: 'code',
                label: say('factor.code'),
                type: 'text',
                autocomplete: 'one-time-code',
                hint: say('factor.codeHint'),
                digits: true,
              },
            ]}
            run={confirm}
          />
        </>
      )}
      {state?.on === true && (
        <>
          <p class="muted">{say('factor.on', { count: state.recovery_codes })}</p>
          <AccountForm
            key="end"
            title={say('factor.title')}
            login={login}
            verb={say('factor.end')}
            passwordField="password"
            fields={ownPassword(me)}
            run={end}
          />
        </>
      )}
    </section>
  );
}

/** For the camera of the device with the app. What draws it is loaded for it alone; without it the link and the key are left. */
function QrCodeOf({ text }: { text: string }) {
  const [code, setCode] = useState<QrCode>();
  useEffect(() => {
    import('./qr-code.ts').then(
      ({ qrCode }) => setCode(qrCode(text)),
      () => undefined,
    );
  }, [text]);
  if (!code) return null;
  return (
    <svg
      class="qr-code"
      viewBox={`0 0 ${code.size} ${code.size}`}
      role="img"
      aria-label={say('factor.qrCode')}
    >
      <path d={code.path} />
    </svg>
  );
}

/** Whether logins ask for a code; false also where that cannot be read. */
async function isOn(): Promise<boolean> {
  return service.secondFactor.state().then(
    ({ on }) => on,
    () => false,
  );
}

/** What a login takes in place of a code. They are shown this once. */
function RecoveryCodes({ codes }: { codes: readonly string[] }) {
  const shown = useRef<HTMLDivElement>(null);
  // The form that had the focus is gone.
  useEffect(() => shown.current?.focus(), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(codes.join('\n'));
      notify(say('factor.copied'));
    } catch {
      notify(say('factor.notCopied'), 'failed');
    }
  };
  return (
    <div ref={shown} class="recovery" role="status" tabIndex={-1}>
      <p>
        <Said of="factor.begun" keep={<strong>{say('factor.keep')}</strong>} />
      </p>
      <ul aria-label={say('factor.codes')}>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      {/* There is none where the page came unencrypted. */}
      {'clipboard' in navigator && (
        <div class="buttons">
          <button type="button" class="secondary" onClick={() => void copy()}>
            {say('factor.copy')}
          </button>
        </div>
      )}
    </div>
  );
}

/** Letters that are to be typed from the screen: apps leave the spaces out. */
function inFours(secret: string): string {
  return secret.replaceAll(/.{4}(?=.)/g, '$& ');
}
