/** Where a reader has scrolled to: so many pixels below the top of the window is the post that they read. */
export interface Anchor {
  /** Undefined where no post is on the screen. */
  post?: number;
  /** CSS pixels: of the post from the top of the window; without a post, how far the window has been scrolled. */
  offset: number;
}

/** So many pages are loaded at most to find the post again. */
const MOST_PAGES = 10;

let wanted: Anchor | undefined;
let pagesLeft = 0;

/** What is at the top of the window now. */
export function anchorNow(): Anchor {
  // What is wanted has not been reached yet: it is still the place to come back to.
  if (wanted) return wanted;
  if (window.scrollY === 0) return { offset: 0 };
  for (const post of document.querySelectorAll<HTMLElement>('[data-post]')) {
    const { top, bottom } = post.getBoundingClientRect();
    if (bottom > 0) return { post: Number(post.dataset.post), offset: top };
  }
  return { offset: window.scrollY };
}

/** Scrolls there as soon as it is on the page. Who scrolls before stays where they are. */
export function restoreAnchor(anchor: Anchor | undefined): void {
  const there = anchor ?? { offset: 0 };
  if (there.post === undefined) {
    wanted = undefined;
    requestAnimationFrame(() => window.scrollTo({ top: there.offset, behavior: 'instant' }));
    return;
  }
  wanted = there;
  pagesLeft = MOST_PAGES;
  const forget = () => (wanted = undefined);
  for (const deed of ['wheel', 'touchmove', 'keydown'] as const)
    window.addEventListener(deed, forget, { once: true, passive: true });
}

/** Whether the reader comes back, to a post that is still to be drawn. */
export function isPlaceWanted(): boolean {
  return wanted?.post !== undefined;
}

/** The reader goes to another place. */
export function forgetPlace(): void {
  wanted = undefined;
}

/** A list that draws only what is near the screen, and has more pages than it has loaded. */
interface LongList {
  /** Draws a post that it has and has not drawn. @returns whether it does so */
  draw: (postId: number) => boolean;
  /** Loads its next page; undefined if there is none. */
  loadMore: (() => void) | undefined;
}

/** A list, or more of it, has been drawn. */
export function scrollToWanted({ draw, loadMore }: LongList): void {
  if (wanted?.post === undefined || draw(wanted.post)) return;
  const post = document.querySelector(`[data-post="${wanted.post}"]`);
  if (post) {
    window.scrollBy({ top: distanceTo(post, wanted), behavior: 'instant' });
    // A list that ends below it is too short to be scrolled so far.
    if (distanceTo(post, wanted) < 1) {
      stayAt(post, wanted);
      return;
    }
  }
  if (loadMore && pagesLeft > 0) {
    pagesLeft -= 1;
    loadMore();
  } else {
    wanted = undefined;
  }
}

/** The browser may move the window a little when it lays out what is new: it is moved back then. */
function stayAt(post: Element, anchor: Anchor): void {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      if (wanted !== anchor) return;
      window.scrollBy({ top: distanceTo(post, anchor), behavior: 'instant' });
      wanted = undefined;
    }),
  );
}

/** How far the window is to be scrolled down until a post is where it was. CSS pixels. */
function distanceTo(post: Element, { offset }: Anchor): number {
  return post.getBoundingClientRect().top - offset;
}
