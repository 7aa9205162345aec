import { effect, type ReadonlySignal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Feed, FeedNews, OwnUser, PostAnswer, ShownPost } from 'tidings-client';
import { announceNews } from '../chrome/announcer.tsx';
import { isFocusLost } from '../chrome/attention.ts';
import { prefersStillness } from '../chrome/motion.ts';
import { throttled } from '../chrome/throttled.ts';
import { type Query, Timeline } from '../feed/timeline.ts';
import { say } from '../languages/say.ts';
import type { Place } from '../places/place.ts';
import { Absence } from './absence.ts';
import { bringWhenStill, Pace, wouldBeMoved } from './steadiness.ts';
import { go, place } from '../places/history.ts';
import { service } from '../service.ts';
import { Drafts } from '../write/drafts.ts';
import { Unsent } from '../write/unsent.ts';

/** How often the number of new posts that wait is told anew at most. Milliseconds. */
const ARRIVALS_INTERVAL = 1000;

/** The state of one user's visit, from login to logout. */
export class Visit {
  readonly me: OwnUser;
  /** The connection, which all lists share. */
  readonly feed: Feed;
  readonly timeline: Timeline;
  readonly absence: Absence;
  readonly drafts: Drafts;
  readonly unsent: Unsent;
  /** The new posts that wait, as they are told of: those that come fast together, and that none waits any more at once. */
  readonly arrivals: ReadonlySignal<readonly ShownPost[]>;
  readonly #endArrivals: () => void;
  readonly #pace = new Pace();

  constructor(me: OwnUser) {
    this.me = me;
    this.drafts = new Drafts(service);
    // Until somebody goes there it is only for their number.
    this.#readDrafts();
    document.addEventListener('visibilitychange', this.#onVisibility);
    this.unsent = new Unsent(me.id);
    this.feed = service.feed({ topics: [], tallies: 'tracked' });
    this.timeline = new Timeline({
      client: service,
      feed: this.feed,
      me,
      query: queryAt(place.peek()) ?? { sort: 'new' },
      held: () => !this.#mayCome(),
      keeps: (postId) => this.unsent.of(`edit:${postId}`) !== undefined,
      onNews: (news) => {
        if (news.post.owner_id === me.id) return;
        if (news.name === 'post:created') this.#pace.came();
        announceNews(sentenceOfNews(news));
      },
    });
    [this.arrivals, this.#endArrivals] = throttled(
      this.timeline.arrivals,
      ARRIVALS_INTERVAL,
      ({ length }) => length === 0,
    );
    this.absence = new Absence(this.timeline, me);
  }

  /** Brings what has waited for the reader's pointer and focus. @returns ends that */
  bringWhenStill(): () => void {
    return bringWhenStill(this.timeline, () => {
      if (hasList(place.peek()) && this.timeline.query.peek().sort === 'new')
        void this.timeline.store.reveal();
    });
  }

  /** Shows the posts of wherever the reader goes. @returns ends that */
  followPlace(): () => void {
    return effect(() => {
      const query = queryAt(place.value);
      if (query) this.timeline.show(query);
    });
  }

  /** The reader has published something: it is shown where the newest is, and has the focus. */
  published(post: PostAnswer): void {
    // It is on top already; what waits behind the pill is brought with it.
    if (this.timeline.query.peek().sort === 'new') void this.timeline.store.reveal();
    go({ name: place.peek().name === 'home' ? 'home' : 'everyone', sort: 'new' }, { focus: false });
    requestAnimationFrame(() => {
      // A list that has just been come to is drawn after its place.
      this.timeline.draw(post.id);
      // Drawn by then, unless the list has to be read first.
      requestAnimationFrame(() => {
        if (isFocusLost())
          document.querySelector<HTMLElement>(`[data-post="${post.id}"]`)?.focus({ preventScroll: true });
      });
    });
  }

  /** Brings what has waited behind the pill. Where posts are in another order, that is where the newest are on top. */
  showArrivals(): void {
    if (this.timeline.arrivals.peek().length === 0) return;
    const here = place.peek();
    if ('sort' in here && here.sort !== 'new') go({ ...here, sort: 'new' });
    else void this.timeline.store.reveal();
    window.scrollTo({ top: 0, behavior: prefersStillness() ? 'instant' : 'smooth' });
  }

  /** Whether new posts may come in above while the reader looks on. */
  #mayCome(): boolean {
    if (!hasList(place.peek()) || (!document.hidden && this.#pace.tooFast)) return false;
    // It has the page laid out: only where the rest does not tell.
    return !wouldBeMoved();
  }

  /** No event tells of what another window, or another device, does with them. */
  readonly #onVisibility = (): void => {
    if (!document.hidden) this.#readDrafts();
  };

  #readDrafts(): void {
    this.drafts.load().catch(() => undefined);
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.#onVisibility);
    this.#endArrivals();
    this.unsent.close();
    this.timeline.close();
    this.feed.close();
  }
}

/** Which posts are shown at a place; undefined where none are, or its address does not tell. */
function queryAt(here: Place): Query | undefined {
  switch (here.name) {
    case 'everyone':
      return { sort: here.sort };
    case 'home':
      return { sort: here.sort, view: 'home' };
    case 'search':
      return { sort: here.sort, search: here.words };
    case 'tag':
      return { sort: here.sort, tag: here.tag };
    default:
      return undefined;
  }
}

/** Whether there is a list of posts. */
function hasList(here: Place): boolean {
  return here.name === 'author' || queryAt(here) !== undefined;
}

function sentenceOfNews({ name, post }: FeedNews): string {
  const { title, owner } = post;
  const said = { name: owner.username, title: title ?? '' };
  if (name === 'post:created') return say('news.created', said);
  return name === 'post:updated' ? say('news.updated', said) : say('news.removed', { title: said.title });
}

const VisitContext = createContext<Visit | undefined>(undefined);
export const VisitProvider = VisitContext.Provider;

export function useVisit(): Visit {
  const visit = useContext(VisitContext);
  if (!visit) throw new Error('There is no visit context here.');
  return visit;
}
