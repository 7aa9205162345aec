import './styles/page.css';
import { render } from 'preact';
import { followSession } from './account/account.ts';
import { takeMailedLink } from './account/mailed-link.ts';
import { takeProviderAnswer } from './account/provider-login.ts';
import { App } from './app.tsx';
import { applyTheme } from './chrome/theme.ts';
import { showFirstLanguage } from './languages/language.ts';
import { followHistory } from './places/history.ts';

applyTheme();
await showFirstLanguage();
takeMailedLink();
takeProviderAnswer();
followSession();
followHistory();
const root = document.getElementById('app');
if (!root) throw new Error('The page has no element for the app.');
render(<App />, root);
