import { batch, signal } from '@preact/signals';
import { type OwnUser, type SessionChange, TidingsError } from 'tidings-client';
import { forgetAnnouncements } from '../chrome/announcer.tsx';
import { dismissAll } from '../chrome/notices.tsx';
import { problemOf, sentenceOf } from '../chrome/sentence.ts';
import { say } from '../languages/say.ts';
import { focusPlace, go } from '../places/history.ts';
import { service } from '../service.ts';
import { forgetUnsent } from '../write/unsent.ts';
import { leaveDoor } from './door.ts';
import { invitation } from './invitation.ts';
import { rememberAccount } from './visited.ts';

/** `restoring`: there is a session from an earlier visit, and it is being asked whose it is. */
export type Presence =
  { state: 'restoring'; trouble?: string } | { state: 'out' } | { state: 'in'; me: OwnUser };

/** Between two tries to reach a server that does not answer. Milliseconds. */
const RETRY = 3000;

export const presence = signal<Presence>(
  service.session.loggedIn ? { state: 'restoring' } : { state: 'out' },
);
/** Why nobody is logged in any more, if it was not the reader who wanted it. */
export const farewell = signal<string | undefined>(undefined);

/** Between the tabs of one browser: the server tells one of them why their session has ended. */
const reasons = new BroadcastChannel('tidings-session-end');

let attempt = 0;

/** Follows the session: of an earlier visit, of this one, and what other tabs make of it. */
export function followSession(): void {
  service.session.onChange((change) => {
    const { loggedIn, reason } = change;
    if (!loggedIn) leave(change);
    else if (reason === 'logged-in') void enter().then(() => focusPlace({ onlyIfLost: true }));
  });
  reasons.onmessage = ({ data }: MessageEvent<string>) => {
    if (!service.session.look()) farewell.value = data;
  };
  if (service.session.loggedIn) void enter();
}

/** @throws {TidingsError} */
export async function logOut(): Promise<void> {
  await service.logOut();
}

/** The reader has changed their own account. An answer that comes when another one is logged in is not about them. */
export function changedTo(me: OwnUser): void {
  const now = presence.peek();
  if (now.state === 'in' && now.me.id === me.id) presence.value = { state: 'in', me };
}

async function enter(): Promise<void> {
  const own = (attempt += 1);
  presence.value = { state: 'restoring' };
  while (own === attempt) {
    try {
      const me = await service.me();
      if (own === attempt) {
        rememberAccount(true);
        batch(() => {
          farewell.value = undefined;
          presence.value = { state: 'in', me };
          leaveDoor();
          invitation.value = '';
        });
      }
      return;
    } catch (error) {
      // A session that is over has said so.
      if (own !== attempt || !service.session.loggedIn) return;
      const trouble = error instanceof TidingsError ? problemOf(error) : say('problem.unexpected');
      presence.value = { state: 'restoring', trouble };
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

function leave({ reason, error }: SessionChange): void {
  attempt += 1;
  const now = presence.peek();
  dismissAll();
  forgetAnnouncements();
  // The next user does not continue where one is who left on purpose; who is to log in again does.
  if (reason !== 'ended') go({ name: 'everyone', sort: 'new' }, { replace: true });
  if (reason === 'logged-out' && now.state === 'in') forgetUnsent(now.me.id);
  batch(() => {
    farewell.value = reason === 'ended' ? say('account.ended') : undefined;
    presence.value = { state: 'out' };
  });
  if (error?.code !== 'suspended') return;
  farewell.value = sentenceOf(error);
  reasons.postMessage(farewell.value);
}
