import { useEffect, useRef, useState } from 'preact/hooks';
import { type Query, sorts } from '../feed/query.ts';
import { useVisit } from './visit.ts';

/** How long to wait for another letter before searching. Milliseconds. */
const TYPING = 250;

const names: Record<Query['sort'], string> = { new: 'New', top: 'Top', hot: 'Hot' };

/** Navigation: the three orders of the feed, the drafts, and the search. */
export function Navigation() {
  const visit = useVisit();
  const { sort, search } = visit.timeline.query.value;
  const inFeed = visit.place.value === 'feed';
  const drafts = visit.drafts.list.value?.length ?? 0;
  return (
    <nav class="places" aria-label="Posts">
      <ul>
        {sorts.map((name) => (
          <li key={name}>
            <button
              type="button"
              aria-current={inFeed && sort === name ? 'page' : undefined}
              onClick={() => visit.go({ sort: name, search })}
            >
              {names[name]}
            </button>
          </li>
        ))}
        <li class="apart">
          <button
            type="button"
            aria-current={visit.place.value === 'drafts' ? 'page' : undefined}
            onClick={() => visit.goTo('drafts')}
          >
            Drafts
            {drafts > 0 && <span class="badge">{drafts}</span>}
          </button>
        </li>
      </ul>
      <Search />
    </nav>
  );
}

function Search() {
  const visit = useVisit();
  const { search } = visit.timeline.query.value;
  const [typed, setTyped] = useState(search);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setTyped(search), [search]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const look = (text: string) => visit.go({ ...visit.timeline.query.peek(), search: text.trim() });
  return (
    <form
      role="search"
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        clearTimeout(timer.current);
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
        aria-label="Search the posts"
        placeholder="Search"
        autocomplete="off"
        maxLength={200}
        value={typed}
        onInput={(event) => {
          const { value } = event.currentTarget;
          setTyped(value);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => look(value), TYPING);
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}
