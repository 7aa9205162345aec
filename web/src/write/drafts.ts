import { signal } from '@preact/signals';
import type { Client, PostAnswer } from 'tidings-client';

const PAGE = 100;

/** The reader's own drafts, newest first. */
export class Drafts {
  readonly list = signal<readonly PostAnswer[] | undefined>(undefined);
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** @throws {TidingsError} */
  async load(): Promise<void> {
    const found: PostAnswer[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#client.posts.list({ limit: PAGE, published: false, cursor });
      found.push(...page.posts);
      cursor = page.next;
    } while (cursor !== undefined);
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
