import { signal } from '@preact/signals';
import type { Feed, NotificationView, OwnUser } from 'tidings-client';
import { keepChoice, readChoice } from '../chrome/stored.ts';
import icon from '../images/icon-192.png';
import { say } from '../languages/say.ts';
import { go } from '../places/history.ts';
import { placeOf } from './place-of.ts';

/** Of what the browser tells while nobody looks at the page. */
const told = ['reply', 'mention', 'follow'] as const;
type Told = (typeof told)[number];

/** How long no other window of this browser tells of the same: it may hear of it later. Milliseconds. */
const CLAIMED = 30_000;

const choiceOf = (userId: number) => `alerts:${userId}`;

/** Whether this browser can tell of something outside the page. */
export const canAlert = 'Notification' in window && 'locks' in navigator;

/** Whether the user wants that, in this browser. */
export const wantsAlerts = signal(false);

/** Asks the browser, which asks the user. @returns whether it may be done from now on */
export async function turnAlertsOn(userId: number): Promise<boolean> {
  if ((await Notification.requestPermission()) !== 'granted') return false;
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
  const shown = new Map<number, Notification>();
  const takeAway = (id: number) => {
    shown.get(id)?.close();
    shown.delete(id);
  };
  const tell = async (one: NotificationView) => {
    // Another window may have turned it off.
    read();
    const kind = told.find((name) => name === one.kind);
    if (!wantsAlerts.peek() || !document.hidden || one.read || !kind) return;
    const name = `tidings:alert:${me.id}:${one.id}:${one.rev}`;
    await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
      if (!lock || (await isLookedAt(me.id))) return;
      takeAway(one.id);
      shown.set(one.id, draw(one, kind, name));
      await new Promise((resolve) => setTimeout(resolve, CLAIMED));
    });
  };
  const ends = [
    holdWhileLookedAt(me.id),
    // Where it cannot be shown, it is in the list all the same.
    feed.on('notification:added', (one) => void tell(one).catch(() => undefined)),
    feed.on('notification:removed', ({ id }) => takeAway(id)),
    feed.on('notification:read', () => [...shown.keys()].forEach(takeAway)),
  ];
  return () => {
    for (const end of ends) end();
    for (const id of [...shown.keys()]) takeAway(id);
  };
}

function draw(one: NotificationView, kind: Told, tag: string): Notification {
  const sentence = say(`notifications.${kind}`, { name: one.actor?.username ?? '' });
  const notification = new Notification(sentence, { tag, icon, lang: document.documentElement.lang });
  notification.addEventListener('click', () => {
    window.focus();
    const place = placeOf(one);
    if (place) go(place);
    notification.close();
  });
  return notification;
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
