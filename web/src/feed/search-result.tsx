import { useVisit } from '../board/visit.ts';
import { language } from '../chrome/language.ts';

/** What a search looks for, and once it is known how much it has found. */
export function SearchResult({ words }: { words: string }) {
  const { timeline } = useVisit();
  const count = timeline.entries.value.length;
  const isKnown = !timeline.reading.value && !timeline.trouble.value && !timeline.hasMore.value && count > 0;
  return (
    <p class="muted place-words" role="status">
      {isKnown &&
        `${count === 1 ? '1 post has' : `${count.toLocaleString(language)} posts have`} ${allOf(words)}. `}
      Each word may be in the title or the text, in any order. Case and accents do not matter.
    </p>
  );
}

/** The words of a search in a sentence. */
export function allOf(words: string): string {
  const quoted = [...new Set(words.trim().split(/\s+/))].map((word) => `“${word}”`);
  if (quoted.length < 2) return quoted.join('');
  const last = quoted.pop();
  return `${quoted.length === 1 ? 'both' : 'all of'} ${quoted.join(', ')} and ${last}`;
}
