import type { RefObject } from 'preact';
import { useLayoutEffect, useState } from 'preact/hooks';
import { TidingsError } from 'tidings-client';
import { say } from '../languages/say.ts';
import { faultBesideField, limitOfCodes, type Refusals, sentenceOf } from './sentence.ts';

/** What was wrong with a form: beside each field that it is about, and else for the form as a whole. */
export interface Faults {
  fields: Record<string, string>;
  whole: string | undefined;
}

/** Fields in which a wrong password, or a wrong code, is told; and what else is told in words of the form. */
interface FaultOptions {
  passwordField?: string | undefined;
  codeField?: string | undefined;
  recoverable?: boolean | undefined;
  refusals?: Refusals | undefined;
}

const none: Faults = { fields: {}, whole: undefined };

/**
 * The faults of a form, told by the server.
 * @param names the fields that the form shows: a fault of any other is one of the whole
 * @param options.codeField the field of a code of an authenticator app
 * @param options.passwordField the field that a wrong password stands in, where there is one such field alone
 * @param options.recoverable whether the code may also be a recovery code
 * @param options.refusals what refusals of the whole mean in this form
 */
export function useFaults(
  names: readonly string[],
  form: RefObject<HTMLFormElement | null>,
  options: FaultOptions = {},
) {
  const [refused, setRefused] = useState<{ error: unknown }>();
  // Anyone who is notified of a fault wants to be where it is.
  useLayoutEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [refused]);
  return {
    // A field that was added for it is one of the form by now.
    faults: refused ? faultsOf(refused.error, names, options) : none,
    clear: () => setRefused(undefined),
    show: (error: unknown) => setRefused({ error }),
  };
}

function faultsOf(
  error: unknown,
  names: readonly string[],
  { passwordField, codeField, recoverable = false, refusals }: FaultOptions,
): Faults {
  const fields: Faults['fields'] = {};
  if (error instanceof TidingsError) {
    for (const fault of error.errors) {
      const name = fault.loc.slice(1).join('.');
      if (names.includes(name)) fields[name] ??= faultBesideField(fault);
    }
    if (error.code === 'invalid_credentials' && passwordField !== undefined) {
      fields[passwordField] = say('fault.password');
    }
    if ((error.code === 'otp_required' || error.code === 'otp_invalid') && codeField !== undefined)
      fields[codeField] = sentenceOf(error);
    if (error.code === 'too_many_requests' && codeField !== undefined && recoverable)
      fields[codeField] = limitOfCodes(error);
  }
  return { fields, whole: Object.keys(fields).length > 0 ? undefined : sentenceOf(error, refusals) };
}
