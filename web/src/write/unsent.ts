import { type ReadonlySignal, signal } from '@preact/signals';
import type { PostView, TidingsError } from 'tidings-client';
import { browserStorage, read, tabStorage, write } from '../chrome/stored.ts';
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
  /** How often anything of it has changed. */
  readonly changes: ReadonlySignal<number>;
  readonly #changes = signal(0);
  readonly #prefix: string;
  /** Where storage is refused or full it is kept as long as the page is open. */
  readonly #kept = new Map<UnsentFor, UnsentWords | undefined>();
  /** What the browser keeps, as this tab read or wrote it last: anything else is another tab's. */
  readonly #shared = new Map<UnsentFor, string | null>();

  /** With the words that it is about. It ends with the page: nothing is sent on a later day. */
  readonly #waiting = new Map<UnsentFor, Waiting & Words>();
  /** What takes the offer back to bring words back that were discarded. */
  readonly #offers = new Map<UnsentFor, () => void>();
  readonly #onSent = new Map<UnsentFor, Set<() => void>>();

  constructor(userId: number) {
    this.changes = this.#changes;
    this.#prefix = prefixOf(userId);
    window.addEventListener('storage', this.#onForeignWrite);
  }

  of(what: UnsentFor): UnsentWords | undefined {
    if (!this.#kept.has(what)) {
      const key = this.#prefix + what;
      const shared = read(browserStorage(), key);
      const own = read(tabStorage(), key) ?? shared;
      this.#shared.set(what, own === shared ? shared : null);
      this.#kept.set(what, parse(own));
    }
    return this.#kept.get(what);
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

  /** The writer may have back what they have discarded. @param takeBack called once something new is kept */
  offered(what: UnsentFor, takeBack: () => void): void {
    this.#offers.set(what, takeBack);
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
    for (const tell of this.#onSent.get(what) ?? []) tell();
    return true;
  }

  /** @returns ends it */
  onSent(what: UnsentFor, tell: () => void): () => void {
    const all = this.#onSent.get(what) ?? new Set();
    this.#onSent.set(what, all.add(tell));
    return () => all.delete(tell);
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

  #put(what: UnsentFor, kept: UnsentWords | undefined): void {
    const key = this.#prefix + what;
    const text = kept ? JSON.stringify(kept) : null;
    this.#kept.set(what, kept);
    this.#changes.value += 1;
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
    const [own, foreign] = [this.#kept.get(what), parse(text)];
    if (!own || !foreign?.sent || !isSame(own, foreign)) return;
    const words = { ...own, sent: foreign.sent };
    this.#kept.set(what, words);
    this.#shared.set(what, text);
    write(tabStorage(), key, JSON.stringify(words));
  };
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
