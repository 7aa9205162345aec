import { fold } from '../text/fold.ts';
import { type Keys, keysOf } from '../text/keys.ts';

/** The search columns of a post: its folded text, and the keys of the index (see `keysOf`). */
export interface Searchable extends Keys {
  text: string;
}

/**
 * Title and content are one text. No word reaches from the one into the other, since no word has a space in it. A reply
 * has no title.
 */
export function searchable({ title, content }: { title: string | null; content: string }): Searchable {
  const text = fold(title === null ? content : `${title} ${content}`);
  return { text, ...keysOf(text) };
}

/** The keys of a post as one text, from which the database makes a `tsvector`. No key has a line break in it. */
export function linesOf(keys: readonly string[]): string {
  return keys.join('\n');
}

/** The words of several posts, each once. */
export function wordsOfAll(searched: readonly Searchable[]): string[] {
  return [...new Set(searched.flatMap(({ words }) => words))];
}
