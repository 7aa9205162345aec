import { useEffect, useState } from 'preact/hooks';
import { type LoginSupplement, type ProviderAnswer, TidingsError } from 'tidings-client';
import { sentenceOf } from '../chrome/sentence.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { goToProvider, providerAnswer } from './provider-login.ts';
import { givenInvitation, provider } from './service-info.ts';

/** What a login may ask for, by the refusal that does. */
const fields = {
  username_required: {
    name: 'username',
    label: 'Name',
    type: 'text',
    autocomplete: 'nickname',
    hint: 'You have no account here yet. Shown with your posts: letters, digits, dots and dashes.',
  },
  invitation_required: { name: 'invitation', label: 'Invitation', type: 'text', autocomplete: 'off' },
  link_required: {
    name: 'password',
    label: 'Password',
    type: 'password',
    autocomplete: 'current-password',
    hint: 'An account has your address. With its password you log in to it.',
  },
  otp_required: {
    name: 'otp',
    label: 'Code',
    type: 'text',
    autocomplete: 'one-time-code',
    hint: 'Of your authenticator app, or a recovery code.',
  },
} as const;

type Need = keyof typeof fields;

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
  useEffect(() => void finish({}).catch((error: unknown) => setTrouble(sentenceOf(error))), []);

  if (trouble !== undefined) return <p role="alert">{trouble}</p>;
  if (needs.length === 0) return <p role="status">Logging in…</p>;
  return (
    <AccountForm
      key={needs.join(' ')}
      title="Log in"
      verb="Go on"
      passwordField="password"
      codeField="otp"
      fields={needs.map((need) => ({
        ...fields[need],
        ...(need === 'username_required' ? { given: suggestion } : {}),
        ...(need === 'invitation_required' ? { given: givenInvitation() } : {}),
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
      <button type="button" class="wide" aria-disabled={busy} onClick={() => void (busy || begin())}>
        Log in with {provider.value.name}
      </button>
      {trouble !== undefined && (
        <p class="fault" role="alert">
          {trouble}
        </p>
      )}
    </>
  );
}
