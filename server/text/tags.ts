import { SIGN, tagForm } from './tag-form.ts';
import { URL } from './url.ts';

/**
 * The tags in a text, as hashtag identifiers of Unicode (UTS 31): `#` and then letters, digits, marks, underscores and
 * emoji of any script, with a middle dot between two of them (`#col·legi`). A tag has a letter or an emoji, so `#1` is
 * none.
 *
 * What is kept is the normal form (`tagOf`), so that `#Straße`, `#STRASSE` and `＃ｓｔｒａｓｓｅ` are one tag.
 */

/** Distinct tags of one post at most; the first ones count. */
export const MOST_TAGS = 10;
/** Characters of a tag at most. A longer one is no tag, rather than a part of it. */
export const MOST_TAG_CHARACTERS = 100;

/** What belongs to the character before it, in the sense of UAX 29. */
const EXTENDING = String.raw`\p{M}\p{Grapheme_Extend}\p{Emoji_Modifier}\u200c\u200d`;
/** Spacing marks that are letters. */
const SPACING_LETTERS = String.raw`\u0e33\u0eb3`;
/** Dots that join two words of one tag. */
const DOT = String.raw`\u00b7\u0387\u30fb\uff65`;
/** Letters that belong to the character after them (Grapheme_Cluster_Break=Prepend), and the signs that do. */
const PREPENDED_LETTERS = String.raw`\u0d4e\u{111c2}\u{111c3}\u{113d1}\u{1193f}\u{11941}\u{11a3a}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}`;
const PREPENDED_SIGNS = String.raw`\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}`;
/** Emoji, without the signs among them that stand beside a word: `©`, `™`, `‼`, arrows, `〽`. */
const EMOJI = String.raw`\p{Emoji_Presentation}|(?![\0-\u25ff\u2b05-\u2b07\u3030\u303d])\p{Extended_Pictographic}|\u200d\p{Extended_Pictographic}`;
const LETTER = String.raw`(?![${DOT}${PREPENDED_LETTERS}])\p{XID_Continue}|[${EXTENDING}]`;
const ONE = String.raw`(?:${EMOJI}|${LETTER})`;
const BODY = String.raw`(?![${EXTENDING}${SPACING_LETTERS}${DOT}])(?:${ONE}|[${DOT}${PREPENDED_LETTERS}](?=${ONE}))+`;

const WHOLE = new RegExp(`^${BODY}$`, 'u');
/** No tag begins amid a word, behind another `#`, in an HTML entity (`&#x27;`) or in what looks like an address. */
const BEFORE = String.raw`(?<!(?!\ufe0f)[\p{L}\p{N}\p{M}_${SIGN}&=/${PREPENDED_LETTERS}${PREPENDED_SIGNS}])`;
const TAG = new RegExp(String.raw`${URL}|${BEFORE}[${SIGN}](${BODY})`, 'gu');
const HAS_SIGN = new RegExp(`[${SIGN}]`, 'u');
const MEANING = /[\p{L}\p{Nl}\p{Extended_Pictographic}\p{Regional_Indicator}]/u;
/** A tag where it stands in a text, with its sign, and its normal form. */
export interface PlacedTag {
  start: number;
  end: number;
  tag: string;
}

/** The tags of a text, in order; one may be there twice. */
export function* placedTags(text: string): Generator<PlacedTag> {
  if (!HAS_SIGN.test(text)) return;
  for (const { index, 0: whole, 1: body } of text.matchAll(TAG)) {
    const tag = body === undefined ? undefined : tagOf(body);
    if (tag !== undefined) yield { start: index, end: index + whole.length, tag };
  }
}

/** The distinct tags of texts in their normal form, in the order in which they occur: `MOST_TAGS` at most. */
export function tagsIn(...texts: string[]): string[] {
  const tags = new Set<string>();
  for (const text of texts)
    for (const { tag } of placedTags(text)) {
      tags.add(tag);
      if (tags.size === MOST_TAGS) return [...tags];
    }
  return [...tags];
}

/**
 * The normal form of a tag.
 * @param name with or without `#`
 * @returns undefined if it is none
 */
export function tagOf(name: string): string | undefined {
  const tag = tagForm(name);
  const is = WHOLE.test(tag) && MEANING.test(tag) && Array.from(tag).length <= MOST_TAG_CHARACTERS;
  return is ? tag : undefined;
}
