import { useEffect, useState } from 'preact/hooks';
import { Mark } from '../chrome/mark.tsx';
import { ThemeSwitch } from '../chrome/theme-switch.tsx';
import { place } from '../places/history.ts';
import { farewell } from './account.ts';
import { CredentialsForm } from './credentials-form.tsx';
import { type Intent, isOpen, leaveDoor, wish } from './door.ts';
import { AddressBack, ForgottenPassword, NewPassword } from './forgotten-password.tsx';
import { mailedLink } from './mailed-link.ts';
import { ProviderButton, ProviderForm } from './provider-form.tsx';
import { providerAnswer } from './provider-login.ts';
import { askService, signUpMode } from './service-info.ts';
import { isReturning } from './visited.ts';

/** The page of a visitor who is not logged in. */
export function Welcome() {
  const link = mailedLink.value;
  const answer = providerAnswer.value;
  const title = link?.kind === 'undo' ? 'Undo the change of your address' : 'Choose a new password';
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
      {answer !== undefined && (
        <section class="welcome-door" aria-label="Log in">
          <h2>Log in</h2>
          <ProviderForm answer={answer} />
          <button type="button" class="plain" onClick={() => (providerAnswer.value = undefined)}>
            Not now
          </button>
        </section>
      )}
      {answer === undefined && link === undefined && <Door />}
      {answer === undefined && link !== undefined && (
        <section class="welcome-door" aria-label={title}>
          <h2>{title}</h2>
          {link.kind === 'undo' ? <AddressBack token={link.token} /> : <NewPassword token={link.token} />}
          <button type="button" class="plain" onClick={() => (mailedLink.value = undefined)}>
            {link.kind === 'undo' ? 'Go on' : 'Not now'}
          </button>
        </section>
      )}
      <footer class="welcome-foot">
        <ThemeSwitch />
      </footer>
    </main>
  );
}

/** Reading needs no account here. */
function goOn(): void {
  farewell.value = undefined;
  leaveDoor();
}

/** Where one logs in or signs up, or asks for a new password. */
function Door() {
  const [wanted, setIntent] = useState<Intent>(
    () => wish.value ?? (farewell.value !== undefined || isReturning() ? 'log-in' : 'sign-up'),
  );
  useEffect(() => void askService(), []);
  const closed = signUpMode.value === 'closed';
  const intent = closed ? 'log-in' : wanted;
  const [forgotten, setForgotten] = useState(false);
  const choose = (chosen: Intent) => {
    setIntent(chosen);
    setForgotten(false);
  };
  return (
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
          <button type="button" aria-pressed={intent === 'sign-up'} onClick={() => choose('sign-up')}>
            New here
          </button>
          <button type="button" aria-pressed={intent === 'log-in'} onClick={() => choose('log-in')}>
            Returning
          </button>
        </div>
      )}
      {forgotten ? <ForgottenPassword /> : <CredentialsForm key={intent} intent={intent} />}
      <ProviderButton />
      {intent === 'log-in' && (
        <button type="button" class="plain" onClick={() => setForgotten(!forgotten)}>
          {forgotten ? 'Back to the login' : 'Forgot your password?'}
        </button>
      )}
      {isOpen(place.value) && (
        <button type="button" class="plain" onClick={goOn}>
          Go on reading without an account
        </button>
      )}
    </section>
  );
}
