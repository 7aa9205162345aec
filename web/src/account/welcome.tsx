import { useEffect, useState } from 'preact/hooks';
import { Mark } from '../chrome/mark.tsx';
import { ThemeSwitch } from '../chrome/theme-switch.tsx';
import { farewell } from './account.ts';
import { CredentialsForm, type Intent } from './credentials-form.tsx';
import { askSignUpMode, signUpMode } from './sign-up-mode.ts';

/** The page of a visitor who is not logged in. */
export function Welcome() {
  const [wish, setIntent] = useState<Intent>(farewell.value === undefined ? 'sign-up' : 'log-in');
  useEffect(() => void askSignUpMode(), []);
  const closed = signUpMode.value === 'closed';
  const intent = closed ? 'log-in' : wish;
  return (
    <main class="welcome">
      <div class="welcome-words">
        <h1>
          <Mark />
          Tidings
        </h1>
        <p class="motto">Small news, as it happens.</p>
        <p>
          Write a post, and everyone here sees it at once. Edits and votes appear live too, in the same order
          for everyone. If your connection drops, what you missed arrives when it is back.
        </p>
      </div>
      <p class="welcome-more muted">
        Open this page in two windows side by side to see it. To build on it, read <a href="/docs">the API</a>{' '}
        and <a href="/asyncapi">its Socket.IO interface</a>.
      </p>
      <section class="welcome-door" aria-label={intent === 'log-in' ? 'Log in' : 'Sign up'}>
        {farewell.value !== undefined && (
          <p class="farewell" role="status">
            {farewell.value}
          </p>
        )}
        {closed ? (
          <p class="muted">Nobody can sign up here at present.</p>
        ) : (
          <div class="switch">
            <button type="button" aria-pressed={intent === 'sign-up'} onClick={() => setIntent('sign-up')}>
              New here
            </button>
            <button type="button" aria-pressed={intent === 'log-in'} onClick={() => setIntent('log-in')}>
              Returning
            </button>
          </div>
        )}
        <CredentialsForm key={intent} intent={intent} />
      </section>
      <footer class="welcome-foot">
        <ThemeSwitch />
      </footer>
    </main>
  );
}
