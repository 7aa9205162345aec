/** How tags are compared. Imports nothing: the client package has a copy. */

/** The number sign, small and full-width too. */
export const SIGN = '#\ufe5f\uff03';
const LEADING_SIGN = new RegExp(`^[${SIGN}]`, 'u');
const ASCII = /^[\0-\x7f]*$/;
/** The joiners that hold an emoji together stay. */
const UNSEEN =
  /(?!(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}])\u200d\p{Extended_Pictographic})\p{Default_Ignorable_Code_Point}/gu;
const VARIATION = /[\ufe00-\ufe0f]/g;

/**
 * The normal form of a tag: NFKC and case folded, with the Turkish `İ` and `ı` as `i`, without characters that show
 * nothing. It need not be a tag.
 * @param name with or without `#`
 */
export function tagForm(name: string): string {
  const body = name.replace(LEADING_SIGN, '');
  if (ASCII.test(body)) return body.toLowerCase();
  const seen = body.normalize('NFKD').replace(VARIATION, '').replace(UNSEEN, '');
  // Folding may bring marks out of their order, and these may make another letter.
  return folded(folded(seen).normalize('NFKD')).normalize('NFKC');
}

/**
 * JavaScript knows no case folding: the capital of a letter has its variants, and a capital its small letter, alike.
 */
function folded(text: string): string {
  return text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ').replaceAll('i\u0307', 'i');
}
