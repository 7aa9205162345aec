import { type FieldError, TidingsError } from 'tidings-client';
import { formats } from '../languages/formats.ts';
import type { PlainKey } from '../languages/messages.ts';
import { isKey, say } from '../languages/say.ts';

/** What some refusals mean at one place of the page, by their codes, where it can say more than what they mean anywhere. */
export type Refusals = Readonly<Partial<Record<TidingsError['code'], PlainKey>>>;

/** What the page offers is forbidden only between two of whom one has blocked the other. */
const everywhere: Refusals = { forbidden: 'problem.refusedHere' };

/** What may be said to the reader of whatever went wrong. */
export function sentenceOf(error: unknown, here: Refusals = {}): string {
  if (!(error instanceof TidingsError)) return say('problem.page');
  if (error.code === 'suspended') return sentenceOfSuspension(error);
  const key = here[error.code] ?? everywhere[error.code];
  return key === undefined ? problemOf(error) : say(key);
}

/** What an error is, by its code where the page has a sentence for that, else in the words of the server. */
export function problemOf(error: TidingsError): string {
  const { code, retryAfter } = error;
  if (code === 'too_many_requests' && retryAfter !== undefined)
    return say('problem.wait', { when: inTime(retryAfter) });
  const key = `problem.${code}` as const;
  return isKey(key) ? say(key) : error.message;
}

/** The limit of a login that asks for a code may be that of wrong codes, which takes a day: there are other ways then. */
export function limitOfCodes({ retryAfter = 1 }: TidingsError): string {
  return say('problem.waitCode', { when: inTime(retryAfter) });
}

/** When that is: "in 40 seconds", "in 15 minutes". */
function inTime(seconds: number): string {
  const { inTime: format } = formats.value;
  if (seconds <= 90) return format.format(Math.max(1, Math.ceil(seconds)), 'second');
  const minutes = Math.ceil(seconds / 60);
  return minutes <= 90 ? format.format(minutes, 'minute') : format.format(Math.ceil(minutes / 60), 'hour');
}

function sentenceOfSuspension({ suspension }: TidingsError): string {
  const { until, reason } = suspension ?? { until: undefined, reason: '' };
  const sentence = until
    ? say('problem.suspendedUntil', { time: formats.value.moment.format(until) })
    : say('problem.suspended');
  return reason === '' ? sentence : say('problem.suspendedReason', { sentence, reason });
}

/**
 * A fault of a field, to stand beside it: in the words of the page where it knows the rule, else the server's own, without
 * the name of the field.
 */
export function faultBesideField({ loc, msg, type }: FieldError): string {
  const rest = msg.replace(/^"[^"]*"\s+/, '');
  const field = loc.at(-1);
  if (type === 'any.taken' && (field === 'username' || field === 'email')) return say(`fault.taken.${field}`);
  if (type === 'string.pattern.name' && field === 'username') return say('fault.name');
  const bound = /\d+/.exec(rest)?.[0];
  switch (type) {
    case 'any.required':
    case 'any.invalid':
    case 'any.invitation':
    case 'string.empty':
    case 'string.email':
    case 'string.invisible':
    case 'string.nul':
    case 'string.reserved':
    case 'string.surrogate':
    case 'string.tag':
      return say(`fault.${type}`);
    case 'string.max':
    case 'string.min':
    case 'string.bytes':
      if (bound !== undefined) return say(`fault.${type}`, { bound: Number(bound) });
  }
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}
