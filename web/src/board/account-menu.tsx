import type { OwnUser } from 'tidings-client';
import { logOut } from '../account/account.ts';
import { openKeyboardHelp } from '../chrome/keyboard-help.tsx';
import { LanguageSwitch } from '../chrome/language-switch.tsx';
import { notify } from '../chrome/notices.tsx';
import { ThemeSwitch } from '../chrome/theme-switch.tsx';
import { Face } from '../feed/face.tsx';
import { say } from '../languages/say.ts';
import { PlaceLink } from '../places/place-link.tsx';

/** Who one is here, and the few things that are about oneself. */
export function AccountMenu({ me }: { me: OwnUser }) {
  const leave = () => logOut().catch(() => notify(say('menu.unreached'), 'failed'));
  return (
    <div class="account">
      <PlaceLink to={{ name: 'account' }} class="self" title={say('place.account')}>
        <Face id={me.id} name={me.username} />
        <span class="unseen">{say('menu.accountOf', { name: me.username })}</span>
        <span class="account-name" aria-hidden="true">
          {me.username}
        </span>
      </PlaceLink>
      <ThemeSwitch />
      <LanguageSwitch />
      <button
        type="button"
        class="icon for-keyboards"
        aria-label={say('keys.open')}
        title={say('keys.openHint')}
        onClick={openKeyboardHelp}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
          <rect class="outline" x="2.500" y="6" width="19" height="12.500" rx="2" />
          <path class="outline" d="M6.500 10h.01M10.200 10h.01M13.800 10h.01M17.500 10h.01M8 14.500h8" />
        </svg>
      </button>
      <button type="button" class="plain" onClick={() => void leave()}>
        {say('menu.logOut')}
      </button>
    </div>
  );
}
