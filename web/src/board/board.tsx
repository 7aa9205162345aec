import { useEffect, useState } from 'preact/hooks';
import type { OwnUser } from 'tidings-client';
import { changedTo } from '../account/account.ts';
import { AccountView } from '../account/account-view.tsx';
import { KeyboardHelp } from '../chrome/keyboard-help.tsx';
import { FeedView } from '../feed/feed-view.tsx';
import { tellOfVotes } from '../feed/tell-of-votes.ts';
import { say } from '../languages/say.ts';
import { ModerationView } from '../moderation/moderation-view.tsx';
import { followAlerts } from '../notifications/alerts.ts';
import { NotificationsView } from '../notifications/notifications-view.tsx';
import { AuthorView } from '../people/author-view.tsx';
import { KeptAwayView } from '../people/kept-away-view.tsx';
import { PeopleView } from '../people/people-view.tsx';
import { place } from '../places/history.ts';
import { addressOf, type Place } from '../places/place.ts';
import { ThreadView } from '../thread/thread-view.tsx';
import { DraftsView } from '../write/drafts-view.tsx';
import { AccountMenu } from './account-menu.tsx';
import { ConnectionState } from './connection-state.tsx';
import { Masthead } from './masthead.tsx';
import { Navigation } from './navigation.tsx';
import { listenToKeys } from './shortcuts.ts';
import { tellOfConnection } from './tell-of-connection.ts';
import { nameWindow } from './window-title.ts';
import { Visit, VisitProvider } from './visit.ts';

/** The page of somebody who is logged in. */
export function Board({ me }: { me: OwnUser }) {
  const [visit] = useState(() => new Visit(me));
  useEffect(() => {
    const ends = [
      listenToKeys(visit),
      tellOfConnection(visit.timeline),
      tellOfVotes(visit.timeline.store),
      nameWindow(visit),
      visit.followPlace(),
      visit.bringWhenStill(),
      visit.absence.follow(),
      followAlerts(visit.me, visit.feed),
    ];
    return () => {
      for (const end of ends) end();
      visit.close();
    };
  }, [visit]);
  useEffect(() => visit.feed.on('role:changed', ({ role }) => changedTo({ ...me, role })), [visit, me]);
  return (
    <VisitProvider value={visit}>
      <div class="board">
        <a class="skip" href="#main">
          {say('place.skip')}
        </a>
        <header class="rail">
          <Masthead />
          <Navigation me={me} />
          <div class="rail-end">
            <ConnectionState />
            <AccountMenu me={me} />
          </div>
        </header>
        <main id="main" tabIndex={-1}>
          <PlaceView here={place.value} me={me} />
        </main>
      </div>
      <KeyboardHelp />
    </VisitProvider>
  );
}

function PlaceView({ here, me }: { here: Place; me: OwnUser }) {
  switch (here.name) {
    case 'everyone':
    case 'home':
    case 'search':
    case 'tag':
      return <FeedView here={here} />;
    case 'author':
      return <AuthorView key={here.username} username={here.username} id={here.id} />;
    case 'people':
      return <PeopleView key={addressOf(here)} username={here.username} list={here.list} />;
    case 'post':
      return <ThreadView key={here.id} id={here.id} />;
    case 'notifications':
      return <NotificationsView />;
    case 'drafts':
      return <DraftsView />;
    case 'account':
      return <AccountView me={me} />;
    case 'kept-away':
      return <KeptAwayView key={here.list} list={here.list} />;
    case 'moderation':
      return <ModerationView list={here.list} me={me} />;
  }
}
