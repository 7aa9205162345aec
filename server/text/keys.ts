/**
 * By what a post is found: the words of its folded text. A search for a part of a word looks up the words that contain it first
 * (the table `search_words`), and then asks the index for posts with one of these.
 *
 * A word is cut into pieces where its script puts no spaces between words, or if it is long: from each character on two where both
 * are of a script with thousands of characters, three elsewhere, fewer at the end. Each has its place modulo 16, since two pieces
 * of a text follow each other only where their places do.
 *
 * The function `search_keys_of` of the database makes the same of the text of posts that have no keys, as those of nodes of the version before.
 */

/**
 * Scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer and their neighbours; from U+2E80 on Chinese,
 * Japanese, Yi and others, but not Korean. And words of more than 40 characters.
 */
const CUT =
  // oxlint-disable-next-line no-misleading-character-class -- a mark alone, as the first or the last of a range
  /[\u0E00-\u109F\u1780-\u17FF\u1950-\u19DF\u1A20-\u1AAF\u1B00-\u1BBF\u2E80-\u2FDF\u3005-\u3007\u3040-\u30FF\u3105-\u312F\u31A0-\u31FF\u3400-\u4DBF\u4E00-\uA4CF\uA980-\uA9FF\uAA60-\uAA7F\uF900-\uFAFF\u{16FE0}-\u{18DFF}\u{1AFF0}-\u{1B2FF}\u{20000}-\u{3FFFF}]|^.{41}/su;
const ASCII = /^[\0-\x7f]*$/;
const LONG = 40;

/** The first character of the scripts with thousands of characters, and the kana, which are few, among them. */
const MANY = 0x2e80;
const KANA = [0x3040, 0x30ff] as const;
const PLACES = 16;

export interface Keys {
  /** No word has a space in it, and every piece begins with one. A piece may be there twice. */
  keys: string[];
  /** Those of the keys that are words. */
  words: string[];
}

export function keysOf(folded: string): Keys {
  const words: string[] = [];
  const pieces: string[] = [];
  for (const word of new Set(folded.split(' '))) {
    if (isCut(word)) cut(word, pieces);
    else if (word !== '') words.push(word);
  }
  return { keys: [...words, ...pieces], words };
}

function isCut(word: string): boolean {
  return word.length <= LONG && ASCII.test(word) ? false : CUT.test(word);
}

function cut(word: string, pieces: string[]): void {
  const characters = Array.from(word);
  for (const [at, first] of characters.entries()) {
    const second = characters[at + 1] ?? '';
    const third = hasMany(first) && hasMany(second) ? '' : (characters[at + 2] ?? '');
    pieces.push(` ${first}${second}${third} ${at % PLACES}`);
  }
}

function hasMany(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return code >= MANY && (code < KANA[0] || code > KANA[1]);
}

/**
 * Keys as the text of a `tsvector`: a value that can be bound. Sequelize's `fn()` would write them into the statement, and
 * change or refuse a `$` in them.
 */
export function vectorOf(keys: readonly string[]): string {
  return keys.map((key) => `'${key.replaceAll(/['\\]/g, String.raw`$&$&`)}'`).join(' ');
}
