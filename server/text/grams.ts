/**
 * The search index (n-grams): every word is cut into the pieces that begin at each of its characters, three characters
 * long, or two where the script has thousands of them (Chinese, Korean, emoji), shorter at the word's end. So a text
 * that contains a word has all pieces of the word, a word of one or two characters is the beginning of a piece, and
 * what a letter is need not be known to any database. The pieces only choose candidates: the folded text decides.
 */

/** The first character of the scripts with thousands of characters, and the kana, which are few, among them. */
const MANY = 0x2e80;
const KANA = [0x3040, 0x30ff] as const;

/** How many characters the piece that begins with this one has. */
function lengthAt(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  return code < MANY || (code >= KANA[0] && code <= KANA[1]) ? 3 : 2;
}

/** Words of scripts with few characters, of which each is one unit of a JavaScript string. */
const FEW = /^[\0-\u2e7f]*$/;

/** The pieces of a folded text, each once, with a space between them. */
export function gramsOf(folded: string): string {
  const grams = new Set<string>();
  for (const word of new Set(folded.split(' '))) {
    if (FEW.test(word)) for (let at = 0; at < word.length; at += 1) grams.add(word.slice(at, at + 3));
    else for (const gram of piecesOf(Array.from(word))) grams.add(gram);
  }
  return [...grams].join(' ');
}

function piecesOf(characters: readonly string[]): string[] {
  return characters.map((first, at) => characters.slice(at, at + lengthAt(first)).join(''));
}

/** What the index is asked for texts that have all of these folded words: a `tsquery`. */
export function queryOf(words: readonly string[]): string {
  const whole = new Set<string>();
  const beginnings = new Set<string>();
  for (const word of words) {
    const characters = Array.from(word);
    let covered = false;
    for (const [at, first] of characters.entries()) {
      const length = lengthAt(first);
      if (at + length <= characters.length) {
        whole.add(characters.slice(at, at + length).join(''));
        covered = true;
      }
    }
    if (!covered) beginnings.add(word);
  }
  return [...[...whole].map(quoted), ...[...beginnings].map((gram) => `${quoted(gram)}:*`)].join(' & ');
}

/**
 * The pieces of a folded text as the text of a `tsvector`: a value that can be bound. Sequelize's `fn()` would write them
 * into the statement, and change or refuse a `$` in them.
 * @param grams what `gramsOf` gave
 */
export function vectorOf(grams: string): string {
  return grams.split(' ').filter(Boolean).map(quoted).join(' ');
}

/** A piece as a lexeme in the text of a `tsquery` or a `tsvector`. */
function quoted(gram: string): string {
  return `'${gram.replaceAll(/['\\]/g, String.raw`$&$&`)}'`;
}
