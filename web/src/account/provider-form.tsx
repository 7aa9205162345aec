import { useEffect, useState } from 'preact/hooks';
import { type LoginSupplement, type ProviderAnswer, TidingsError } from 'tidings-client';
import { sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { invitation } from './invitation.ts';
import { goToProvider, providerAnswer } from './provider-login.ts';
import { provider } from './service-info.ts';

/** What a login may ask for, by the refusal that does. */
const fields = {
  username_required: {
    name: 'username',
    label: 'account.name',
    type: 'text',
    autocomplete: 'nickname',
    hint: 'provider.nameHint',
  },
  invitation_required: {
    name: 'invitation',
    label: 'welcome.invitation',
    type: 'text',
    autocomplete: 'off',
    hint: 'welcome.invitationHint',
  },
  link_required: {
    name: 'password',
    label: 'account.password',
    type: 'password',
    autocomplete: 'current-password',
    hint: 'provider.passwordHint',
  },
  otp_required: {
    name: 'otp',
    label: 'factor.code',
    type: 'text',
    autocomplete: 'one-time-code',
    hint: 'welcome.codeHint',
  },
} as const;

type Need = keyof typeof fields;

const refusals = { conflict: 'provider.logInFirst' } as const;

const isNeed = (code: string): code is Need => Object.hasOwn(fields, code);

/** Logs in with what the provider said, and asks for what is missing. */
export function ProviderForm({ answer }: { answer: ProviderAnswer }) {
  const [needs, setNeeds] = useState<readonly Need[]>([]);
  const [trouble, setTrouble] = useState<string>();
  const [suggestion, setSuggestion] = useState('');

  const finish = async (given: LoginSupplement) => {
    try {
      await service.openId.finish(answer, given);
      providerAnswer.value = undefined;
    } catch (error) {
      const { code, problem } = error as Partial<TidingsError>;
      if (!(error instanceof TidingsError) || code === undefined || !isNeed(code) || needs.includes(code))
        throw error;
      const { suggestion: suggested } = (problem ?? {}) as { suggestion?: unknown };
      if (typeof suggested === 'string') setSuggestion(suggested);
      setNeeds([...needs, code]);
    }
  };
  useEffect(() => void finish({}).catch((error: unknown) => setTrouble(sentenceOf(error, refusals))), []);

  if (trouble !== undefined) return <p role="alert">{trouble}</p>;
  if (needs.length === 0) return <p role="status">{say('provider.working')}</p>;
  return (
    <AccountForm
      title={say('welcome.logIn')}
      verb={say('provider.go')}
      autofocus
      keeps
      passwordField="password"
      codeField="otp"
      recoverable={needs.includes('otp_required')}
      refusals={refusals}
      fields={needs.map((need) => ({
        ...fields[need],
        label: say(fields[need].label),
        hint: say(fields[need].hint),
        ...(need === 'username_required' ? { given: suggestion } : {}),
        ...(need === 'invitation_required' ? { given: invitation.value } : {}),
      }))}
      run={(values) =>
        finish(
          Object.fromEntries(
            Object.entries(values).flatMap(([name, value]) =>
              value === '' ? [] : [[name, name === 'password' ? value : value.trim()]],
            ),
          ),
        )
      }
    />
  );
}

/** Where the service has a provider: the way there. */
export function ProviderButton() {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string>();
  // Back from the provider the browser shows the page as it was left.
  useEffect(() => {
    const comeBack = () => setBusy(false);
    window.addEventListener('pageshow', comeBack);
    return () => window.removeEventListener('pageshow', comeBack);
  }, []);
  if (provider.value === null) return null;
  const begin = async () => {
    setBusy(true);
    setTrouble(undefined);
    try {
      await goToProvider('log-in');
    } catch (error) {
      setTrouble(sentenceOf(error));
      setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        class="wide secondary"
        aria-disabled={busy}
        onClick={() => void (busy || begin())}
      >
        {say('provider.title', { name: provider.value.name })}
      </button>
      {trouble !== undefined && (
        <p class="fault" role="alert">
          {trouble}
        </p>
      )}
    </>
  );
}
