import { presence } from './account/account.ts';
import { Restoring } from './account/restoring.tsx';
import { Welcome } from './account/welcome.tsx';
import { Board } from './board/board.tsx';
import { Announcer } from './chrome/announcer.tsx';
import { Notices } from './chrome/notices.tsx';

export function App() {
  const now = presence.value;
  return (
    <>
      {now.state === 'out' && <Welcome />}
      {now.state === 'restoring' && <Restoring trouble={now.trouble} />}
      {now.state === 'in' && <Board key={now.me.id} me={now.me} />}
      <Notices />
      <Announcer />
    </>
  );
}
