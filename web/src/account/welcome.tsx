import { useEffect, useRef, useState } from 'preact/hooks';
import { LanguageSwitch } from '../chrome/language-switch.tsx';
import { Mark } from '../chrome/mark.tsx';
import { ThemeSwitch } from '../chrome/theme-switch.tsx';
import { Said } from '../languages/said.tsx';
import { say } from '../languages/say.ts';
import { place } from '../places/history.ts';
import { SITE } from '../places/place.ts';
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
  const title = say(link?.kind === 'undo' ? 'addressBack.title' : 'reset.title');
  return (
    <main class="welcome">
      <div class="welcome-words">
        <h1>
          <Mark />
          {SITE}
        </h1>
        <p class="motto">{say('service.motto')}</p>
        <p>{say('welcome.what')}</p>
      </div>
      <p class="welcome-more muted">
        <Said
          of="welcome.more"
          api={<a href="/docs">{say('welcome.api')}</a>}
          socket={<a href="/asyncapi">{say('welcome.socket')}</a>}
        />
      </p>
      {answer !== undefined && (
        <section class="welcome-door" aria-label={say('welcome.logIn')}>
          <h2>{say('welcome.logIn')}</h2>
          <ProviderForm answer={answer} />
          <button type="button" class="plain" onClick={() => (providerAnswer.value = undefined)}>
            {say('welcome.notNow')}
          </button>
        </section>
      )}
      {answer === undefined && link === undefined && <Door />}
      {answer === undefined && link !== undefined && (
        <section class="welcome-door" aria-label={title}>
          <h2>{title}</h2>
          {link.kind === 'undo' ? <AddressBack token={link.token} /> : <NewPassword token={link.token} />}
          <button type="button" class="plain" onClick={() => (mailedLink.value = undefined)}>
            {say(link.kind === 'undo' ? 'welcome.goOn' : 'welcome.notNow')}
          </button>
        </section>
      )}
      <footer class="welcome-foot">
        <LanguageSwitch />
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
  /** What was typed as the address in one of the forms is in the next one. */
  const email = useRef('');
  const choose = (chosen: Intent) => {
    setIntent(chosen);
    setForgotten(false);
  };
  return (
    <section
      class="welcome-door"
      aria-label={say(intent === 'log-in' ? 'welcome.logIn' : 'welcome.signUp')}
      onInput={({ target }) => {
        if (target instanceof HTMLInputElement && target.name === 'email') email.current = target.value;
      }}
    >
      {farewell.value !== undefined && (
        <p class="farewell" role="status">
          {farewell.value}
        </p>
      )}
      {closed ? (
        <p class="muted">{say('problem.sign_up_closed')}</p>
      ) : (
        <div class="switch">
          <button type="button" aria-pressed={intent === 'sign-up'} onClick={() => choose('sign-up')}>
            {say('welcome.new')}
          </button>
          <button type="button" aria-pressed={intent === 'log-in'} onClick={() => choose('log-in')}>
            {say('welcome.returning')}
          </button>
        </div>
      )}
      {forgotten ? (
        <ForgottenPassword email={email.current} />
      ) : (
        <CredentialsForm key={intent} intent={intent} email={email.current} />
      )}
      <ProviderButton />
      {intent === 'log-in' && (
        <button type="button" class="plain" onClick={() => setForgotten(!forgotten)}>
          {say(forgotten ? 'welcome.back' : 'welcome.forgot')}
        </button>
      )}
      {isOpen(place.value) && (
        <button type="button" class="plain" onClick={goOn}>
          {say('welcome.read')}
        </button>
      )}
    </section>
  );
}
