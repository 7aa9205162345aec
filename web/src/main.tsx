import './styles/page.css';
import { render } from 'preact';
import { followSession } from './account/account.ts';
import { takeResetToken } from './account/reset-token.ts';
import { App } from './app.tsx';
import { applyTheme } from './chrome/theme.ts';
import { followHistory } from './places/history.ts';

applyTheme();
takeResetToken();
followSession();
followHistory();
const root = document.getElementById('app');
if (!root) throw new Error('The page has no element for the app.');
render(<App />, root);
