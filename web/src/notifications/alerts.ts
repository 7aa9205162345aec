import { signal } from '@preact/signals';
import type { Feed, NotificationView, OwnUser } from 'tidings-client';
import { keepChoice, readChoice } from '../chrome/stored.ts';
import icon from '../images/icon-192.png';
import { say } from '../languages/say.ts';
import { go } from '../places/history.ts';
import { addressOf, placeAt } from '../places/place.ts';
import { placeOf } from './place-of.ts';

/** Of what the browser tells while nobody looks at the page. */
const told = ['reply', 'mention', 'follow'] as const;
type Told = (typeof told)[number];

/** How long no other window of this browser tells of the same: it may hear of it later. Milliseconds. */
const CLAIMED = 30_000;

const choiceOf = (userId: number) => `alerts:${userId}`;

/** What is kept with what the browser shows. */
interface Shown {
  user: number;
  id: number;
  rev: number;
  /** Where it leads to. */
  address: string;
}

/** Whether this browser may be able to tell of something outside the page. */
export const canAlert = 'Notification' in window && 'locks' in navigator && 'serviceWorker' in navigator;

/** Whether the user wants that, in this browser. */
export const wantsAlerts = signal(false);

/** Asks the browser, which asks the user. @returns whether it may be done from now on */
export async function turnAlertsOn(userId: number): Promise<boolean> {
  if ((await Notification.requestPermission()) !== 'granted' || !(await shower())) return false;
  keepChoice(choiceOf(userId), 'on');
  wantsAlerts.value = true;
  return true;
}

export function turnAlertsOff(userId: number): void {
  keepChoice(choiceOf(userId), null);
  wantsAlerts.value = false;
}

/**
 * Tells of replies, mentions and followers while no window of the page is looked at, once for all of them. It says who
 * and what they did, and nothing that they wrote.
 * @returns ends that, and takes away what is still to be seen
 */
export function followAlerts(me: OwnUser, feed: Feed): () => void {
  if (!canAlert) return () => undefined;
  const choice = choiceOf(me.id);
  const read = () => {
    wantsAlerts.value = readChoice(choice) === 'on' && Notification.permission === 'granted';
  };
  read();
  const removed = new Set<number>();
  let readUpTo = 0;
  let ended = false;
  const isOver = ({ id, rev }: Pick<Shown, 'id' | 'rev'>) => ended || removed.has(id) || rev <= readUpTo;
  const takeAway = async (which: (shown: Shown) => boolean) => {
    for (const one of (await (await shower())?.getNotifications()) ?? []) {
      const data = one.data as Shown | null;
      if (data?.user === me.id && which(data)) one.close();
    }
  };
  // What cannot be shown, or taken away, is in the list all the same.
  const tidy = () => void takeAway(isOver).catch(() => undefined);
  const tell = async (one: NotificationView) => {
    // Another window may have turned it off.
    read();
    const kind = told.find((name) => name === one.kind);
    if (!wantsAlerts.peek() || !document.hidden || one.read || !kind) return;
    const name = `tidings:alert:${me.id}:${one.id}:${one.rev}`;
    await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
      if (!lock || (await isLookedAt(me.id))) return;
      await takeAway(({ id }) => id === one.id);
      if (isOver(one)) return;
      await show(one, kind, { tag: name, user: me.id });
      // It may be over since: then nothing was there yet to be taken away.
      await takeAway(isOver);
      await new Promise((resolve) => setTimeout(resolve, CLAIMED));
    });
  };
  const ends = [
    holdWhileLookedAt(me.id),
    followClicks(),
    feed.on('notification:added', (one) => {
      removed.delete(one.id);
      void tell(one).catch(() => undefined);
    }),
    feed.on('notification:removed', ({ id }) => {
      removed.add(id);
      tidy();
    }),
    feed.on('notification:read', ({ up_to }) => {
      readUpTo = Math.max(readUpTo, up_to);
      tidy();
    }),
  ];
  return () => {
    for (const end of ends) end();
    ended = true;
    tidy();
  };
}

/** What shows them: browsers of telephones let only a service worker do so. There is none in some private windows. */
function shower(): Promise<ServiceWorkerRegistration | undefined> {
  return navigator.serviceWorker.getRegistration();
}

async function show(one: NotificationView, kind: Told, { tag, user }: { tag: string; user: number }) {
  const data: Shown = {
    user,
    id: one.id,
    rev: one.rev,
    address: addressOf(placeOf(one) ?? { name: 'notifications' }),
  };
  const sentence = say(`notifications.${kind}`, { name: one.actor?.username ?? '' });
  const { lang } = document.documentElement;
  await (await shower())?.showNotification(sentence, { tag, icon, lang, data });
}

/** Goes where one leads to that was clicked: the service worker says so to one window. @returns ends that */
function followClicks(): () => void {
  const follow = ({ data }: MessageEvent<{ go?: unknown }>) => {
    if (typeof data.go === 'string') go(placeAt(new URL(data.go, location.href)));
  };
  navigator.serviceWorker.addEventListener('message', follow);
  return () => navigator.serviceWorker.removeEventListener('message', follow);
}

const lookedAt = (userId: number) => `tidings:looked-at:${userId}`;

/** Holds a lock while this window is looked at, by which the others know. @returns ends that */
function holdWhileLookedAt(userId: number): () => void {
  let letGo: (() => void) | undefined;
  const turn = () => {
    if (document.hidden) {
      letGo?.();
      letGo = undefined;
    } else if (!letGo) {
      const gone = new Promise<void>((resolve) => (letGo = resolve));
      navigator.locks.request(lookedAt(userId), { mode: 'shared' }, () => gone).catch(() => undefined);
    }
  };
  turn();
  document.addEventListener('visibilitychange', turn);
  return () => {
    document.removeEventListener('visibilitychange', turn);
    letGo?.();
  };
}

async function isLookedAt(userId: number): Promise<boolean> {
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === lookedAt(userId));
}
