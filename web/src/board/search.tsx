import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { onceShown } from '../chrome/frames.ts';
import { say } from '../languages/say.ts';
import { go, place } from '../places/history.ts';
import { MAX_SEARCH, type Place } from '../places/place.ts';

/** How long to wait for another letter before searching. Milliseconds. */
const TYPING = 250;

const everyone: Place = { name: 'everyone', sort: 'new' };

/** Searches while one types. Escape ends the search, and leads back to where it began. */
export function Search() {
  const here = place.value;
  const words = here.name === 'search' ? here.words : '';
  const [typed, setTyped] = useState(words);
  /** Takes back what is to be looked for. */
  const takeBack = useRef<() => void>(() => undefined);
  const before = useRef<Place>(everyone);
  if (here.name !== 'search') before.current = here;
  /** What this field has looked for last, while that is where the reader is. */
  const sought = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    // More may have been typed since, or a space.
    if (words === sought.current) return;
    sought.current = undefined;
    takeBack.current();
    setTyped(words);
  }, [words]);
  useEffect(() => () => takeBack.current(), []);

  const look = (text: string) => {
    takeBack.current();
    const now = place.peek();
    const wanted = text.trim();
    sought.current = wanted;
    if (wanted === '') {
      if (now.name === 'search') go(before.current, { focus: false });
      return;
    }
    // A search grows letter by letter: that is one step back, not many.
    const replace = now.name === 'search';
    const sort = 'sort' in now ? now.sort : 'new';
    go({ name: 'search', words: wanted, sort }, { replace, focus: false });
  };

  return (
    <form
      role="search"
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        look(typed);
      }}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">
        <circle cx="7" cy="7" r="4.500" />
        <path d="m10.500 10.500 3.500 3.500" />
      </svg>
      <input
        type="search"
        name="search"
        aria-label={say('search.label')}
        aria-describedby="search-hint"
        placeholder={say('search.placeholder')}
        autocomplete="off"
        maxLength={MAX_SEARCH}
        value={typed}
        onInput={(event) => {
          const { value } = event.currentTarget;
          setTyped(value);
          takeBack.current();
          const timer = setTimeout(() => look(value), TYPING);
          takeBack.current = () => clearTimeout(timer);
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          // The browser would only empty the field.
          event.preventDefault();
          takeBack.current();
          setTyped('');
          event.currentTarget.blur();
          // The field is empty at once; a long list takes a while to come back.
          takeBack.current = onceShown(() => look(''));
        }}
      />
      <kbd aria-hidden="true">/</kbd>
      <p id="search-hint" class="search-hint">
        {say('search.hint')}
      </p>
    </form>
  );
}
