/**
 * Characters that show nothing by themselves: white space, control characters, those that Unicode would have left out of
 * sight (joiners, direction marks, variation selectors, tags, the Hangul fillers), and the blanks among the letters and
 * symbols, which no property tells: of Braille, hieroglyphs with their joiners, music, Khitan, Brahmi, Tifinagh, annotations
 * and the place of an object.
 */
const SEEN =
  // oxlint-disable-next-line no-misleading-character-class -- each of them by itself is meant
  /[^\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800\u2d7f\ufff9-\ufffc\u{1107f}\u{13430}-\u{13442}\u{16fe4}\u{1d159}]/u;

/** Whether there is something to see in a text. An emoji that joiners hold together is. */
export function isVisible(text: string): boolean {
  return SEEN.test(text);
}
