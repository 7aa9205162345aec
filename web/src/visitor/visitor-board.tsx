import { effect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { goToDoor } from '../account/door.ts';
import { askService, signUpMode } from '../account/service-info.ts';
import { Masthead } from '../board/masthead.tsx';
import { Search } from '../board/search.tsx';
import { LanguageSwitch } from '../chrome/language-switch.tsx';
import { ThemeSwitch } from '../chrome/theme-switch.tsx';
import { headingOf, nothingAt } from '../feed/list-words.tsx';
import { Orders } from '../feed/orders.tsx';
import { say } from '../languages/say.ts';
import { place, placeName } from '../places/history.ts';
import { PlaceLink } from '../places/place-link.tsx';
import { named, type Place, titleOf } from '../places/place.ts';
import { VisitorAuthor } from './visitor-author.tsx';
import { VisitorList } from './visitor-list.tsx';
import { VisitorThread } from './visitor-thread.tsx';

/** The page of a visitor without an account, where the operator lets everyone read. */
export function VisitorBoard() {
  useEffect(() => void askService(), []);
  useEffect(
    () =>
      effect(() => {
        document.title = placeName.value === undefined ? titleOf(place.value) : named(placeName.value);
      }),
    [],
  );
  return (
    <div class="board visitor">
      <a class="skip" href="#main">
        {say('place.skip')}
      </a>
      <header class="rail">
        <Masthead />
        <nav class="places" aria-label={say('place.nav')}>
          <ul>
            <li>
              <PlaceLink to={{ name: 'everyone', sort: 'new' }} current={place.value.name === 'everyone'}>
                {say('place.everyone')}
              </PlaceLink>
            </li>
          </ul>
          <Search />
        </nav>
        <div class="rail-end">
          <Door />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <VisitorPlace here={place.value} />
      </main>
    </div>
  );
}

/** The ways in. */
function Door() {
  return (
    <div class="account">
      <ThemeSwitch />
      <LanguageSwitch />
      <button type="button" class="plain" onClick={() => goToDoor('log-in')}>
        {say('welcome.logIn')}
      </button>
      {signUpMode.value !== 'closed' && (
        <button type="button" class="primary" onClick={() => goToDoor('sign-up')}>
          {say('welcome.signUp')}
        </button>
      )}
    </div>
  );
}

function VisitorPlace({ here }: { here: Place }) {
  switch (here.name) {
    case 'post':
      return <VisitorThread key={here.id} id={here.id} />;
    case 'author':
      return <VisitorAuthor key={here.username} username={here.username} id={here.id} />;
    case 'everyone':
    case 'search':
    case 'tag':
      return (
        <section class="timeline" aria-labelledby="timeline-title">
          <h1 id="timeline-title" class={here.name === 'everyone' ? 'unseen' : 'place-title'} tabIndex={-1}>
            {headingOf(here)}
          </h1>
          {here.name === 'everyone' && <p class="visitor-words muted">{say('visitor.reading')}</p>}
          <Orders of={here} />
          <VisitorList
            query={{
              sort: here.sort,
              ...(here.name === 'search' && { search: here.words }),
              ...(here.name === 'tag' && { tag: here.tag }),
            }}
            nothing={here.name === 'everyone' ? say('feed.none') : nothingAt(here)}
          />
        </section>
      );
    default:
      return null;
  }
}
