import { fold } from '../text/fold.ts';
import { gramsOf } from '../text/grams.ts';

/** The search columns of a post: its folded text, and the n-grams of the index (see `gramsOf`). */
export interface Searchable {
  text: string;
  grams: string;
}

/** Title and content are one text. No word reaches from the one into the other, since no word has a space in it. */
export function searchable({ title, content }: { title: string; content: string }): Searchable {
  const text = fold(`${title} ${content}`);
  return { text, grams: gramsOf(text) };
}
