import { useVisit } from '../board/visit.ts';
import { say } from '../languages/say.ts';

/** What a search looks for, and once it is known how much it has found. */
export function SearchResult({ words }: { words: string }) {
  const { timeline } = useVisit();
  const count = timeline.entries.value.length;
  const isKnown = !timeline.reading.value && !timeline.trouble.value && !timeline.hasMore.value && count > 0;
  return (
    <p class="muted place-words" role="status">
      {isKnown && `${say('search.found', { count, words: allOf(words) })} `}
      {say('search.rules')}
    </p>
  );
}

/** The words of a search in a sentence. */
export function allOf(words: string): string {
  const quoted = [...new Set(words.trim().split(/\s+/))].map((word) => say('search.quoted', { word }));
  if (quoted.length < 2) return quoted.join('');
  const last = quoted.pop() ?? '';
  return say(quoted.length === 1 ? 'search.both' : 'search.all', { words: quoted.join(', '), last });
}
