import { language } from './language.ts';
import { type FieldError, TidingsError } from 'tidings-client';

/** What may be said to the reader of whatever went wrong. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof TidingsError)) return 'Something went wrong in this page. Reload it.';
  const { suspension } = error;
  if (suspension) {
    const { until, reason } = suspension;
    const end = until
      ? ` until ${until.toLocaleString(language, { dateStyle: 'long', timeStyle: 'short' })}`
      : '';
    return `Your account is suspended${end}.${reason === '' ? '' : ` The reason: ${reason}`}`;
  }
  // What the page offers is forbidden only between two of whom one has blocked the other.
  return error.code === 'forbidden' ? 'This is not possible between you and this user.' : error.message;
}

const own: Record<string, string> = {
  'any.required': 'Please fill this in.',
  'string.empty': 'Please fill this in.',
  'string.email': 'This does not look like an e-mail address.',
};

/** The rules for lengths, by their types: the number in the server's sentence is the bound. */
const lengths: Record<string, string> = { 'string.max': 'At most', 'string.min': 'At least' };

/**
 * A fault of a field, to stand beside it: in plain words where the rule is a common one, else the server's own, without
 * the name of the field.
 */
export function faultBesideField({ msg, type }: FieldError): string {
  const rest = msg.replace(/^"[^"]*"\s+/, '');
  const bound = /\d+/.exec(rest)?.[0];
  if (bound !== undefined && lengths[type] !== undefined) return `${lengths[type]} ${bound} characters.`;
  return own[type] ?? rest.charAt(0).toUpperCase() + rest.slice(1);
}
