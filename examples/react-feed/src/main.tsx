import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { useSession } from 'tidings-client/react';
import { client } from './client.ts';
import { Feed } from './feed.tsx';
import { LogIn } from './log-in.tsx';

function App() {
  const { loggedIn, userId } = useSession(client);
  return loggedIn ? <Feed key={userId} /> : <LogIn />;
}

createRoot(document.getElementById('app')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
