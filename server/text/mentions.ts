import { URL } from './url.ts';

/** Distinct names of one post that are looked up at most, whether they are users or not. */
export const MOST_NAMES = 60;

/**
 * `@` and what may be a username, but not in an e-mail address, behind another `@` (`@@ada`), in a web address, or as a
 * part of a word. An account of another service (`@ada@example.org`) is nobody here.
 */
const MENTION = new RegExp(
  String.raw`${URL}|(?<![\p{L}\p{M}\p{N}_/\\@\uff20]|[\p{L}\p{M}\p{N}_][.+~'&=%-])[@\uff20]([A-Za-z0-9_.-]+)(?![@\uff20\p{M}\p{Lu}\p{Ll}\p{Lt}\u200c\u200d\w.-])`,
  'gu',
);
const HAS_SIGN = /[@\uff20]/;

/**
 * A name behind an `@`, as it is written: with the dots and dashes at its end, and without. Some old usernames have
 * such.
 */
export interface MentionedName {
  whole: string;
  trimmed: string;
}

/** A mentioned name where it stands in a text, with its sign. */
export interface PlacedName extends MentionedName {
  start: number;
}

/** The names that a text mentions, in order; one may be there twice. */
export function* placedNames(text: string): Generator<PlacedName> {
  if (!HAS_SIGN.test(text)) return;
  for (const { index, 1: whole } of text.matchAll(MENTION)) {
    if (whole === undefined) continue;
    const trimmed = whole.replace(/[._-]+$/, '');
    if (isLikeName(trimmed) || isLikeName(whole)) yield { start: index, whole, trimmed };
  }
}

/** The distinct names that texts mention, in the order in which they occur: `MOST_NAMES` at most. */
export function namesIn(...texts: string[]): MentionedName[] {
  const names = new Map<string, MentionedName>();
  for (const text of texts) {
    for (const { whole, trimmed } of placedNames(text)) {
      const key = whole.toLowerCase();
      if (!names.has(key)) names.set(key, { whole, trimmed });
      if (names.size === MOST_NAMES) return [...names.values()];
    }
  }
  return [...names.values()];
}

/** Whether a username may be so. */
function isLikeName(name: string): boolean {
  return name.length >= 3 && name.length <= 30;
}
