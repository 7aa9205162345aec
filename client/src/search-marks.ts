import { fold, wordsOf } from './fold.ts';

/** A part of a text, and whether it is a word, or a part of one, that a search has found. */
export interface SearchPart {
  text: string;
  found: boolean;
}

/** A letter with the marks on it. */
const LETTER = /\P{M}\p{M}*|\p{M}+/gu;

/**
 * What to mark of a title or text that `posts.list({ search })` has found: case, accents and Unicode form make no
 * difference, as there. Together the parts are the text.
 */
export function searchParts(text: string, search: string): SearchPart[] {
  const words = wordsOf(search);
  const letters = text.match(LETTER) ?? [];
  /** Of each unit of the folded text, which letter it is of. */
  const origin: number[] = [];
  let folded = '';
  letters.forEach((letter, at) => {
    const plain = fold(letter);
    folded += plain;
    origin.push(...new Array<number>(plain.length).fill(at));
  });
  const found = new Set<number>();
  for (const word of words) {
    for (let at = folded.indexOf(word); at >= 0; at = folded.indexOf(word, at + 1)) {
      for (let unit = at; unit < at + word.length; unit += 1) found.add(origin[unit] ?? 0);
    }
  }
  const parts: SearchPart[] = [];
  letters.forEach((letter, at) => {
    const last = parts.at(-1);
    if (last?.found === found.has(at)) last.text += letter;
    else parts.push({ text: letter, found: found.has(at) });
  });
  return parts;
}
