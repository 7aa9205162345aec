import { isVisible } from './visible.ts';

/**
 * What a search compares: text in which case, accents and Unicode form make no difference, in any script.
 *
 * It is done here alone, for what is written and for what is asked, and so depends on no setting of a database. The steps:
 *
 * 1. Compatibility decomposition (NFKD): `é` in one character or two, full-width letters, ligatures, half-width katakana.
 * 2. Without accents: the combining marks that Latin, Greek, Cyrillic, Arabic, Hebrew and Syriac letters carry. The marks of
 *    other scripts are vowels, tones or other letters (`กี`, `कि`, `が`) and stay. So does the breve of `й`: by Unicode's
 *    collation it is a letter of its own, as `ё` is not.
 * 3. Case folding (Unicode's full one: `ß` is `ss`, a final `ς` is `σ`), with the Turkish `İ` and `ı` as `i`.
 * 4. Letters with a stroke and the ligatures that have no decomposition as Unicode's collation takes them: `ø` is `o`,
 *    `æ` is `ae`.
 * 5. Without characters that show nothing (soft hyphen, joiners, variation selectors, direction marks, the Arabic
 *    tatweel); any run of whitespace is one space.
 * 6. Composition (NFC), so that a Korean syllable is one character.
 *
 * Posts carry the number of the fold that they were folded with. To change the fold, raise `FOLD`: see docs/operating.md.
 */
export const FOLD = 1;

/** Of Latin, Greek and Cyrillic (and of symbols), of Hebrew, of Arabic and of Syriac. */
const ACCENTS =
  // oxlint-disable-next-line no-misleading-character-class -- marks alone, which are meant to be met behind any letter
  /[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u2de0-\u2dff\ua66f-\ua672\ua674-\ua67d\ua69e\ua69f\ufe20-\ufe2f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0897-\u089f\u08ca-\u08e1\u08e3-\u08ff\u0711\u0730-\u074a]/g;
/** Whatever is marked so is no accent: it goes through the removal of accents as itself. */
const SHORT_I = /([\u0438\u0418])(\p{M}*?)\u0306/gu;
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\u0640]/gu;
const SPACE = /\s+/g;
const LETTERS: Record<string, string> = {
  ø: 'o',
  đ: 'd',
  ð: 'd',
  ħ: 'h',
  ł: 'l',
  ı: 'i',
  ς: 'σ',
  æ: 'ae',
  œ: 'oe',
};
const LETTER = new RegExp(`[${Object.keys(LETTERS).join('')}]`, 'g');
const ASCII = /^[\0-\x7f]*$/;

/** The text as searches compare it. Folding it again changes nothing. */
export function fold(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase().replace(SPACE, ' ');
  return lowered(
    text
      .normalize('NFKD')
      .replace(UNSEEN, '')
      // As the letter that it is, `й`, which has no accent to remove.
      .replace(
        SHORT_I,
        (_, letter: string, marks: string) => (letter === '\u0418' ? '\u0419' : '\u0439') + marks,
      )
      .replace(ACCENTS, ''),
  )
    .replace(LETTER, (letter) => LETTERS[letter] ?? letter)
    .replace(SPACE, ' ')
    .normalize('NFC');
}

/** JavaScript knows no case folding: the capital of a letter has its variants, and a capital its small letter, alike. */
function lowered(text: string): string {
  return text.toLowerCase().toUpperCase().toLowerCase();
}

/** The words of a search, folded. A word is what stands between spaces, and has something to see. */
export function wordsOf(search: string): string[] {
  return [...new Set(fold(search).split(' '))].filter(isVisible);
}

/** Whether each of the words occurs in one of the texts. */
export function contains(words: readonly string[], ...texts: string[]): boolean {
  const folded = fold(texts.join(' '));
  return words.every((word) => folded.includes(word));
}
