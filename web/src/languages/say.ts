import { formats } from './formats.ts';
import { messages } from './language.ts';
import type { Key, Names } from './messages.ts';

/** What is filled in, by name: a number for `count`. */
export type Values<K extends Key, Value> = {
  readonly [Name in Names<K>]: Name extends 'count' ? number : Value;
};

/** What is filled in into a message; nothing where nothing is. */
export type Filling<K extends Key, Value> = [Names<K>] extends [never] ? [] : [values: Values<K, Value>];

/** A message in the language that is shown. Numbers are written as that language does. */
export function say<K extends Key>(key: K, ...[values]: Filling<K, string | number>): string {
  return partsOf(key, values).join('');
}

/** The parts of a message, in their order. */
export function partsOf<Value>(key: Key, values: Readonly<Record<string, Value>> = {}): (string | Value)[] {
  const { number, plural } = formats.value;
  const message = messages.value[key];
  const text =
    typeof message === 'string' ? message : (message[plural.select(Number(values.count))] ?? message.other);
  // Every second part is what stands in braces.
  return text.split(/\{(\w+)\}/).map((part, at) => {
    if (at % 2 === 0) return part;
    const value = values[part];
    return typeof value === 'number' ? number.format(value) : (value ?? '');
  });
}

/** Whether there is a message of that name. */
export function isKey(key: string): key is Key {
  return Object.hasOwn(messages.value, key);
}
