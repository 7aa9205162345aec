import { computed, type ReadonlySignal, signal } from '@preact/signals';
import type { Timeline } from '../feed/timeline.ts';

/** Counts what others write while the window is in the background; who comes back sees where the new ones end. */
export class Absence {
  /** New posts in the list since the reader left; 0 while they are here. */
  readonly missed: ReadonlySignal<number>;
  readonly #timeline: Timeline;
  /** The posts that were there when the reader left. */
  readonly #known = signal<ReadonlySet<number> | undefined>(undefined);

  constructor(timeline: Timeline, me: { id: number }) {
    this.#timeline = timeline;
    this.missed = computed(() => {
      const known = this.#known.value;
      if (!known) return 0;
      const posts = timeline.posts.value;
      const first = posts.findIndex(({ id }) => known.has(id));
      // So many may have come that the list was read again, and has none of them.
      const missed = first < 0 ? posts : posts.slice(0, first);
      return missed.filter(({ owner_id: owner }) => owner !== me.id).length;
    });
  }

  /** @returns ends it */
  follow(): () => void {
    const turn = () => (document.hidden ? this.#leave() : this.#comeBack());
    document.addEventListener('visibilitychange', turn);
    return () => document.removeEventListener('visibilitychange', turn);
  }

  #leave(): void {
    // What comes with the first page has not been missed.
    this.#known.value = this.#timeline.reading.peek()
      ? undefined
      : new Set(this.#timeline.entries.peek().map(({ id }) => id));
  }

  #comeBack(): void {
    const known = this.#known.peek();
    if (known && (this.missed.peek() > 0 || this.#timeline.arrivals.peek().length > 0)) {
      this.#timeline.seenFrom.value = this.#timeline.entries.peek().find(({ id }) => known.has(id))?.id;
    }
    this.#known.value = undefined;
  }
}
