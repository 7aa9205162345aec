import { signal } from '@preact/signals';
import type { Client, OwnUser, PostAnswer } from 'tidings-client';

const PAGE = 100;
/** Pages of the reader's own posts that are looked through at most. */
const MAX_PAGES = 20;

/** The reader's own drafts, newest first. */
export class Drafts {
  readonly list = signal<readonly PostAnswer[] | undefined>(undefined);
  readonly #client: Client;
  readonly #me: OwnUser;

  constructor(client: Client, me: OwnUser) {
    this.#client = client;
    this.#me = me;
  }

  /** Reads them. The service has no list of drafts alone, so they are picked out of the reader's posts. */
  async load(): Promise<void> {
    const found: PostAnswer[] = [];
    let cursor: string | undefined;
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const page = await this.#client.posts.list({ limit: PAGE, ownerId: this.#me.id, cursor });
      found.push(...page.posts.filter((post) => !post.published));
      cursor = page.next;
      if (cursor === undefined) break;
    }
    this.list.value = found;
  }

  /** A draft was written or changed. */
  put(draft: PostAnswer): void {
    const others = (this.list.peek() ?? []).filter((one) => one.id !== draft.id);
    this.list.value = [draft, ...others];
  }

  /** It is no draft any more. */
  drop(id: number): void {
    this.list.value = this.list.peek()?.filter((one) => one.id !== id);
  }
}
