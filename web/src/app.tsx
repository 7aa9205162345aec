import { farewell, presence } from './account/account.ts';
import { isOpen, wish } from './account/door.ts';
import { mailedLink } from './account/mailed-link.ts';
import { providerAnswer } from './account/provider-login.ts';
import { Restoring } from './account/restoring.tsx';
import { Welcome } from './account/welcome.tsx';
import { Board } from './board/board.tsx';
import { Announcer } from './chrome/announcer.tsx';
import { Notices } from './chrome/notices.tsx';
import { place } from './places/history.ts';
import { VisitorBoard } from './visitor/visitor-board.tsx';

export function App() {
  const now = presence.value;
  // Also for somebody who is logged in: the link may end that session.
  const shown = mailedLink.value === undefined ? now.state : 'out';
  const reads =
    isOpen(place.value) &&
    wish.value === undefined &&
    farewell.value === undefined &&
    mailedLink.value === undefined &&
    providerAnswer.value === undefined;
  return (
    <>
      {shown === 'out' && (reads ? <VisitorBoard /> : <Welcome />)}
      {shown === 'restoring' && now.state === 'restoring' && <Restoring trouble={now.trouble} />}
      {shown === 'in' && now.state === 'in' && <Board key={now.me.id} me={now.me} />}
      <Notices />
      <Announcer />
    </>
  );
}
