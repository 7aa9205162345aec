import { effect, signal } from '@preact/signals';
import { read, tabStorage, write } from '../chrome/stored.ts';

/** Of this tab alone, and on over a reload and the way to a provider. */
const KEY = 'tidings.invitation';

/** The invitation of the link that somebody was sent, until they are logged in; else empty. */
export const invitation = signal(read(tabStorage(), KEY) ?? '');
effect(() => write(tabStorage(), KEY, invitation.value === '' ? null : invitation.value));
