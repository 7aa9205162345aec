import { invalid } from '../../errors.ts';
import type { FieldError } from '../../protocol.ts';

/**
 * Payload limits: the maximum number of keys of an input, and of items of a list in it. Larger input is not validated,
 * since Joi takes milliseconds for thousands of either.
 */
const MAX_KEYS = 50;
export const MAX_ITEMS = 500;

/**
 * Refuses payloads that cost more to validate than to send.
 * @returns how many items its lists have
 * @throws {AppError} 422, in the words of Joi
 */
export function requirePayloadLimits(place: 'payload' | 'auth', input: unknown): number {
  if (typeof input !== 'object' || input === null) return 0;
  // Bytes are an object to Joi, of as many unknown keys.
  if (input instanceof Uint8Array || Object.keys(input).length > MAX_KEYS)
    throw refusal({ loc: [place], msg: `"${place}" must be an object`, type: 'object.base' });
  let items = 0;
  for (const [key, value] of Object.entries(input)) {
    if (!Array.isArray(value)) continue;
    if (value.length > MAX_ITEMS)
      throw refusal({
        loc: [place, key],
        msg: `"${key}" must have at most ${MAX_ITEMS} items`,
        type: 'array.max',
      });
    items += value.length;
  }
  return items;
}

function refusal(fault: FieldError): Error {
  return invalid([fault], 1);
}
