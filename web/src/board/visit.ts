import { signal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { FeedNews, OwnUser, PostAnswer } from 'tidings-client';
import { announce } from '../chrome/announcer.tsx';
import { prefersStillness } from '../chrome/motion.ts';
import { type Query, readQuery, writeQuery } from '../feed/query.ts';
import { Timeline } from '../feed/timeline.ts';
import { service } from '../service.ts';
import { Drafts } from '../write/drafts.ts';

/** Scrolled no further than this, the reader is at the top, and new posts may come in above. CSS pixels. */
const TOP = 160;

/** The state of one user's visit, from login to logout. */
export class Visit {
  readonly me: OwnUser;
  readonly timeline: Timeline;
  readonly drafts: Drafts;
  readonly place = signal<'feed' | 'drafts' | 'account'>('feed');

  constructor(me: OwnUser) {
    this.me = me;
    this.drafts = new Drafts(service);
    this.timeline = new Timeline({
      client: service,
      me,
      query: readQuery(location.search),
      held: () => window.scrollY > TOP || Boolean(document.activeElement?.closest('.post form')),
      onNews: (news) => {
        if (news.post.owner_id !== me.id) announce(sentenceOfNews(news));
      },
    });
  }

  /** Shows a part of the feed, from its top. */
  go(query: Query): void {
    const before = this.timeline.query.peek();
    // A search grows letter by letter: that is one step back, not many.
    if (before.sort === query.sort) history.replaceState(null, '', writeQuery(query));
    else history.pushState(null, '', writeQuery(query));
    this.#show(query);
  }

  /** The reader has published something: it is shown where the newest is, and has the focus. */
  published(post: PostAnswer): void {
    const { sort, search } = this.timeline.query.peek();
    // It is on top already; what waits behind the pill is brought with it.
    if (sort === 'new') this.timeline.showArrivals();
    if (this.place.peek() !== 'feed' || sort !== 'new' || search !== '') this.go({ sort: 'new', search: '' });
    // Drawn by then, unless the list has to be read first.
    requestAnimationFrame(() => {
      document.querySelector<HTMLElement>(`[data-post="${post.id}"]`)?.focus({ preventScroll: true });
    });
  }

  goTo(place: 'drafts' | 'account'): void {
    this.place.value = place;
    window.scrollTo({ top: 0 });
  }

  /** Brings what has waited behind the pill. */
  showArrivals(): void {
    if (this.timeline.arrivals.peek().length === 0) return;
    this.timeline.showArrivals();
    window.scrollTo({ top: 0, behavior: prefersStillness() ? 'instant' : 'smooth' });
  }

  /** Follows the browser's back and forward. @returns ends that */
  followHistory(): () => void {
    const onPop = () => this.#show(readQuery(location.search));
    window.addEventListener('popstate', onPop);
    return () => window.removeEventListener('popstate', onPop);
  }

  close(): void {
    this.timeline.close();
  }

  #show(query: Query): void {
    this.place.value = 'feed';
    window.scrollTo({ top: 0 });
    this.timeline.show(query);
  }
}

function sentenceOfNews({ name, post }: FeedNews): string {
  const { title, owner } = post;
  if (name === 'post:created') return `New post by ${owner.username}: ${title}.`;
  return name === 'post:updated' ? `${owner.username} edited ${title}.` : `${title} was removed.`;
}

const VisitContext = createContext<Visit | undefined>(undefined);
export const VisitProvider = VisitContext.Provider;

export function useVisit(): Visit {
  const visit = useContext(VisitContext);
  if (!visit) throw new Error('There is no visit context here.');
  return visit;
}
