import { signal } from '@preact/signals';

/** The token in the address of a mail with a link to a new password (`/#reset=…`), until it has been used. */
export const resetToken = signal<string | undefined>(undefined);

/** Takes the token out of the address: it must not stay in the history of the browser. */
export function takeResetToken(): void {
  const token = new URLSearchParams(location.hash.slice(1)).get('reset');
  if (token === null) return;
  resetToken.value = token;
  history.replaceState(history.state, '', location.pathname + location.search);
}
