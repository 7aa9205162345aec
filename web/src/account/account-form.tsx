import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Field } from '../chrome/field.tsx';
import { useFaults } from '../chrome/faults.ts';
import { notify } from '../chrome/notices.tsx';
import { type Refusals, sentenceOf } from '../chrome/sentence.ts';

interface AccountField {
  name: string;
  label: string;
  /** `lines`: a text of several. */
  type: 'text' | 'email' | 'password' | 'lines';
  autocomplete: string;
  hint?: string;
  /** Digits alone: a telephone shows the keys for them. */
  digits?: boolean;
  /** What is in it at the beginning. */
  given?: string;
}

interface AccountFormProps {
  /** Names the form; the heading of its section. */
  title: string;
  fields: readonly AccountField[];
  verb: string;
  /** Whose password is asked for, where no field says it: a password manager looks for it in the form. */
  login?: string;
  danger?: boolean;
  /**
   * Whether its first field has the focus at the beginning, since it takes the place of a form that had it, and later one
   * that is added.
   */
  autofocus?: boolean;
  /** Whether what was typed stays when it has been sent: more may be asked then. */
  keeps?: boolean;
  /** The field that a wrong password is about. */
  passwordField?: string;
  /** The field that a wrong code of an authenticator app is about. */
  codeField?: string;
  /** Whether that may also be a recovery code. */
  recoverable?: boolean;
  /** What refusals mean here. */
  refusals?: Refusals;
  /** @throws {TidingsError} whose faults are shown beside their fields */
  run: (values: Record<string, string>) => Promise<void>;
}

/** One thing about the account that can be changed, with its own button. What was typed goes when it has been done. */
export function AccountForm({
  title,
  fields,
  verb,
  login,
  danger = false,
  autofocus = false,
  keeps = false,
  passwordField,
  codeField,
  recoverable,
  refusals,
  run,
}: AccountFormProps) {
  const form = useRef<HTMLFormElement>(null);
  const names = fields.map(({ name }) => name);
  const told: Refusals = { network: 'problem.unanswered', ...refusals };
  const { faults, clear, show } = useFaults(names, form, {
    passwordField,
    codeField,
    recoverable,
    refusals: told,
  });
  const [busy, setBusy] = useState(false);
  const drawn = useRef(0);
  useLayoutEffect(() => {
    const inputs = form.current?.querySelectorAll<HTMLElement>('.field :is(input, textarea)') ?? [];
    if (autofocus && fields.length > drawn.current) inputs[drawn.current]?.focus();
    drawn.current = fields.length;
  }, [fields.length]);

  const submit = async (target: HTMLFormElement) => {
    const data = new FormData(target);
    const values = Object.fromEntries(
      names.map((name) => {
        const value = data.get(name);
        return [name, typeof value === 'string' ? value : ''];
      }),
    );
    setBusy(true);
    clear();
    try {
      await run(values);
      if (!keeps)
        for (const input of target.querySelectorAll<HTMLInputElement>('[type="password"]')) input.value = '';
    } catch (error) {
      if (form.current) show(error);
      else notify(`${title}: ${sentenceOf(error, told)}`, 'failed');
    } finally {
      setBusy(false);
    }
  };

  return (
    <form
      ref={form}
      class="account-form"
      aria-label={title}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void submit(event.currentTarget);
      }}
    >
      {login !== undefined && <input hidden readOnly type="email" autocomplete="username" value={login} />}
      {fields.map(({ name, label, type, autocomplete, hint, digits = false, given }) => (
        <Field key={name} label={label} quiet={label === title} hint={hint} fault={faults.fields[name]}>
          {(links) => {
            const input = {
              ...links,
              name,
              autocomplete,
              spellcheck: false,
              defaultValue: given ?? '',
              inputMode: digits ? ('numeric' as const) : undefined,
            };
            if (type === 'lines') return <textarea {...input} rows={3} dir="auto" spellcheck />;
            if (type === 'password') return <input {...input} type="password" />;
            return type === 'email' ? <input {...input} type="email" /> : <input {...input} type="text" />;
          }}
        </Field>
      ))}
      {faults.whole !== undefined && (
        <p class="fault" role="alert">
          {faults.whole}
        </p>
      )}
      <div class="buttons">
        <button type="submit" class={danger ? 'danger' : 'primary'} aria-disabled={busy}>
          {verb}
        </button>
      </div>
    </form>
  );
}
