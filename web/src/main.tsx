import './styles/page.css';
import { render } from 'preact';
import { followSession } from './account/account.ts';
import { takeInvitation, takeMailedLink } from './account/mailed-link.ts';
import { takeProviderAnswer } from './account/provider-login.ts';
import { App } from './app.tsx';
import { applyTheme } from './chrome/theme.ts';
import { showFirstLanguage } from './languages/language.ts';
import { keepShell } from './offline/keep-shell.ts';
import { followHistory } from './places/history.ts';

applyTheme();
await showFirstLanguage();
takeLinks();
// A link that is opened in a window where the page is already: only the fragment of the address is another.
window.addEventListener('hashchange', takeLinks);
followSession();
followHistory();
const root = document.getElementById('app');
if (!root) throw new Error('The page has no element for the app.');
render(<App />, root);
keepShell();

/** What links from elsewhere carry in the address. */
function takeLinks(): void {
  takeMailedLink();
  takeProviderAnswer();
  takeInvitation();
}
