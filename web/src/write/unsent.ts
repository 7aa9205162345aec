import { type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { PostView, TidingsError } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { browserStorage, read, tabStorage, write } from '../chrome/stored.ts';
import type { PlainKey } from '../languages/messages.ts';
import { say } from '../languages/say.ts';
import { go } from '../places/history.ts';
import type { Place } from '../places/place.ts';
import type { Words } from './post-form.tsx';

/** What the words are for: a new post, a reply to a post, or a change of one. */
export type UnsentFor = 'post' | `reply:${number}` | `edit:${number}`;

/** The words, and for an edit the post on which it is based, as it was. */
export interface UnsentWords extends Words {
  based?: Pick<PostView, 'version' | 'title' | 'content' | 'published'>;
  /** What has been sent of it without an answer, and the idempotency key that it was sent with. */
  sent?: Sent;
}

interface Sent {
  wish: string;
  key: string;
}

/** What is to be done with the words, unchanged, once the server can be reached: which button of their form was pressed. */
export interface Waiting {
  deed: number;
  /** Why it could not be done. */
  error: TidingsError;
}

const PREFIX = 'tidings:unsent';

/**
 * What a user has begun to write and not sent. It is kept in this browser, so that neither a reload nor a look at
 * another place loses it, and under the user's id, so that nobody else who logs in here gets to see it. Each tab keeps
 * its own words; the browser keeps, for when all tabs are closed, those of the tab that began first.
 */
export class Unsent {
  readonly #prefix: string;
  /** Where storage is refused or full it is kept as long as the page is open. */
  readonly #kept = new Map<UnsentFor, Signal<UnsentWords | undefined>>();
  /** What the browser keeps, as this tab read or wrote it last: anything else is another tab's. */
  readonly #shared = new Map<UnsentFor, string | null>();

  /** With the words that it is about. It ends with the page: nothing is sent on a later day. */
  readonly #waiting = new Map<UnsentFor, Waiting & Words>();
  /** What takes the offer back to bring words back that were discarded. */
  readonly #offers = new Map<UnsentFor, () => void>();
  readonly #onSent: Listeners = new Map();
  readonly #onAgain: Listeners = new Map();

  constructor(userId: number) {
    this.#prefix = prefixOf(userId);
    window.addEventListener('storage', this.#onForeignWrite);
  }

  of(what: UnsentFor): UnsentWords | undefined {
    return this.#signal(what).peek();
  }

  /** The same, for what is to be drawn again with each change. */
  kept(what: UnsentFor): ReadonlySignal<UnsentWords | undefined> {
    return this.#signal(what);
  }

  /** @param words undefined, or without a letter: there is nothing to keep any more */
  keep(what: UnsentFor, words: UnsentWords | undefined): void {
    const kept = words && words.title + words.content !== '' ? words : undefined;
    if (kept) {
      this.#offers.get(what)?.();
      this.#offers.delete(what);
    }
    this.#waiting.delete(what);
    const sent = kept?.sent ?? this.of(what)?.sent;
    this.#put(what, kept && sent ? { ...kept, sent } : kept);
  }

  /**
   * Keeps nothing any more, and offers the words back until something new is kept: where they are shown, or, if that is not on
   * the page by then, at a place that the reader is led to.
   */
  discard(what: UnsentFor, said: PlainKey, place: Place): void {
    const words = this.of(what);
    this.keep(what, undefined);
    if (!words) return;
    const again = () => {
      this.keep(what, words);
      if (!tell(this.#onAgain, what)) go(place);
    };
    this.#offers.set(what, notify(say(said), 'done', { label: say('undo'), run: again }));
  }

  /**
   * These words have been sent. All forms that show them are told, also one that was drawn while they were under way. What
   * has been written since is another text, and stays.
   * @returns whether nothing else has been written since
   */
  wasSent(what: UnsentFor, words: Words): boolean {
    const kept = this.of(what);
    if (!kept || !isSame(kept, words)) return !kept;
    this.keep(what, undefined);
    tell(this.#onSent, what);
    return true;
  }

  /** @returns ends it */
  onSent(what: UnsentFor, listener: () => void): () => void {
    return listen(this.#onSent, what, listener);
  }

  /** For what can show the words: their writer wants back what they have discarded. @returns ends it */
  onAgain(what: UnsentFor, listener: () => void): () => void {
    return listen(this.#onAgain, what, listener);
  }

  /** What waits for the server, wherever the writer has been meanwhile, if it is about the words that a form shows. */
  waiting(what: UnsentFor, shown: Words): Waiting | undefined {
    const waiting = this.#waiting.get(what);
    return waiting && isSame(waiting, shown) ? waiting : undefined;
  }

  /** @param waiting undefined: nothing does any more */
  wait(what: UnsentFor, { title, content }: Words, waiting: Waiting | undefined): void {
    if (waiting) this.#waiting.set(what, { ...waiting, title, content });
    else this.#waiting.delete(what);
  }

  /** What is kept is being sent. */
  sent(what: UnsentFor, sent: Sent): void {
    const words = this.of(what);
    if (words) this.#put(what, { ...words, sent });
  }

  close(): void {
    window.removeEventListener('storage', this.#onForeignWrite);
  }

  #signal(what: UnsentFor): Signal<UnsentWords | undefined> {
    let kept = this.#kept.get(what);
    if (!kept) {
      const key = this.#prefix + what;
      const shared = read(browserStorage(), key);
      const own = read(tabStorage(), key) ?? shared;
      this.#shared.set(what, own === shared ? shared : null);
      this.#kept.set(what, (kept = signal(parse(own))));
    }
    return kept;
  }

  #put(what: UnsentFor, kept: UnsentWords | undefined): void {
    const key = this.#prefix + what;
    const text = kept ? JSON.stringify(kept) : null;
    this.#signal(what).value = kept;
    write(tabStorage(), key, text);
    const shared = read(browserStorage(), key);
    if (shared !== null && shared !== this.#shared.get(what)) return;
    write(browserStorage(), key, text);
    this.#shared.set(what, text);
  }

  /** Another tab shows the same words, and sends them: with its idempotency key there is no second post. */
  readonly #onForeignWrite = ({ key, newValue: text }: StorageEvent): void => {
    if (!key?.startsWith(this.#prefix)) return;
    const what = key.slice(this.#prefix.length) as UnsentFor;
    const kept = this.#kept.get(what);
    const [own, foreign] = [kept?.peek(), parse(text)];
    if (!kept || !own || !foreign?.sent || !isSame(own, foreign)) return;
    const words = { ...own, sent: foreign.sent };
    kept.value = words;
    this.#shared.set(what, text);
    write(tabStorage(), key, JSON.stringify(words));
  };
}

type Listeners = Map<UnsentFor, Set<() => void>>;

function listen(all: Listeners, what: UnsentFor, listener: () => void): () => void {
  const those = all.get(what) ?? new Set();
  all.set(what, those.add(listener));
  return () => those.delete(listener);
}

/** @returns whether anybody listens */
function tell(all: Listeners, what: UnsentFor): boolean {
  const those = [...(all.get(what) ?? [])];
  for (const listener of those) listener();
  return those.length > 0;
}

/** Deletes all that a user has begun to write: they have logged out. */
export function forgetUnsent(userId: number): void {
  for (const storage of [browserStorage(), tabStorage()])
    for (const key of Object.keys(storage ?? {}))
      if (key.startsWith(prefixOf(userId))) write(storage, key, null);
}

function isSame(one: Words, other: Words): boolean {
  return one.title === other.title && one.content === other.content;
}

function prefixOf(userId: number): string {
  return `${PREFIX}:${userId}:`;
}

function parse(text: string | null): UnsentWords | undefined {
  try {
    return (JSON.parse(text ?? 'null') as UnsentWords | null) ?? undefined;
  } catch {
    return undefined;
  }
}
