import { type FieldError, TidingsError } from 'tidings-client';

/** What may be said to the reader of whatever went wrong. */
export function sentenceOf(error: unknown): string {
  return error instanceof TidingsError ? error.message : 'Something went wrong in this page. Reload it.';
}

const own: Record<string, string> = {
  'any.required': 'Please fill this in.',
  'string.empty': 'Please fill this in.',
  'string.email': 'This does not look like an e-mail address.',
};

/**
 * A fault of a field, to stand beside it: in plain words where the rule is a common one, else the server's own, without
 * the name of the field.
 */
export function faultBesideField({ msg, type }: FieldError): string {
  const rest = msg.replace(/^"[^"]*"\s+/, '');
  return own[type] ?? rest.charAt(0).toUpperCase() + rest.slice(1);
}
