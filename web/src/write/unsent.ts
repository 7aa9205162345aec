import type { TidingsError } from 'tidings-client';
import type { Words } from './post-form.tsx';

/** What the words are for: a new post, a reply to a post, or a change of one. */
export type UnsentFor = 'post' | `reply:${number}` | `edit:${number}`;

/** The words, and for an edit the version on which it is based. */
export interface UnsentWords extends Words {
  version?: number;
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
 * another place loses it, and under the user's id, so that nobody else who logs in here gets to see it.
 */
export class Unsent {
  readonly #prefix: string;
  /** Where storage is refused or full it is kept as long as the page is open. */
  readonly #kept = new Map<UnsentFor, UnsentWords | undefined>();

  /** With the words that it is about. It ends with the page: nothing is sent on a later day. */
  readonly #waiting = new Map<UnsentFor, Waiting & Words>();
  readonly #onSent = new Map<UnsentFor, Set<() => void>>();

  constructor(userId: number) {
    this.#prefix = prefixOf(userId);
  }

  of(what: UnsentFor): UnsentWords | undefined {
    if (!this.#kept.has(what)) this.#kept.set(what, stored(this.#prefix + what));
    return this.#kept.get(what);
  }

  /** @param words undefined, or without a letter: there is nothing to keep any more */
  keep(what: UnsentFor, words: UnsentWords | undefined): void {
    const kept = words && words.title + words.content !== '' ? words : undefined;
    this.#waiting.delete(what);
    const sent = kept?.sent ?? this.of(what)?.sent;
    this.#put(what, kept && sent ? { ...kept, sent } : kept);
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

  #put(what: UnsentFor, kept: UnsentWords | undefined): void {
    this.#kept.set(what, kept);
    try {
      if (kept) localStorage.setItem(this.#prefix + what, JSON.stringify(kept));
      else localStorage.removeItem(this.#prefix + what);
    } catch {
      // Kept in memory, as said above.
    }
  }
}

/** Deletes all that a user has begun to write: they have logged out. */
export function forgetUnsent(userId: number): void {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(prefixOf(userId))) localStorage.removeItem(key);
    }
  } catch {
    // Storage is refused: nothing is in it.
  }
}

function isSame(one: Words, other: Words): boolean {
  return one.title === other.title && one.content === other.content;
}

function prefixOf(userId: number): string {
  return `${PREFIX}:${userId}:`;
}

function stored(key: string): UnsentWords | undefined {
  try {
    return (JSON.parse(localStorage.getItem(key) ?? 'null') as UnsentWords | null) ?? undefined;
  } catch {
    return undefined;
  }
}
