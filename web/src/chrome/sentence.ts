import { type FieldError, TidingsError } from 'tidings-client';
import { formats } from '../languages/formats.ts';
import { isKey, say } from '../languages/say.ts';

/** What may be said to the reader of whatever went wrong. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof TidingsError)) return say('problem.page');
  if (error.code === 'suspended') return sentenceOfSuspension(error);
  // What the page offers is forbidden only between two of whom one has blocked the other.
  return error.code === 'forbidden' ? say('problem.refusedHere') : problemOf(error);
}

/** What an error is, by its code where the page has a sentence for that, else in the words of the server. */
export function problemOf(error: TidingsError): string {
  const { code, retryAfter } = error;
  if (code === 'too_many_requests' && retryAfter !== undefined)
    return say('problem.wait', { count: Math.max(1, Math.ceil(retryAfter)) });
  const key = `problem.${code}` as const;
  return isKey(key) ? say(key) : error.message;
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
    case 'any.invitation':
    case 'string.empty':
    case 'string.email':
    case 'string.reserved':
      return say(`fault.${type}`);
    case 'string.max':
    case 'string.min':
    case 'string.bytes':
      if (bound !== undefined) return say(`fault.${type}`, { bound: Number(bound) });
  }
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}
