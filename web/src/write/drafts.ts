import { signal } from '@preact/signals';
import type { Client, PostAnswer } from 'tidings-client';

const PAGE = 100;

/** The reader's own drafts, newest first. */
export class Drafts {
  readonly list = signal<readonly PostAnswer[] | undefined>(undefined);
  readonly #client: Client;
  /** Reads that were begun: the newest counts. */
  #reads = 0;
  /** Whether something was put or dropped since it began. */
  #changed = false;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Reads them, again where one of them changes meanwhile. @throws {TidingsError} */
  async load(): Promise<void> {
    const read = (this.#reads += 1);
    let found: PostAnswer[];
    do {
      this.#changed = false;
      found = await this.#readAll();
    } while (this.#changed && read === this.#reads);
    if (read === this.#reads) this.list.value = found;
  }

  async #readAll(): Promise<PostAnswer[]> {
    const found: PostAnswer[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#client.posts.list({ limit: PAGE, published: false, cursor });
      found.push(...page.posts);
      cursor = page.next;
    } while (cursor !== undefined);
    return found;
  }

  /** A draft was written or changed. */
  put(draft: PostAnswer): void {
    this.#changed = true;
    const others = (this.list.peek() ?? []).filter((one) => one.id !== draft.id);
    this.list.value = [draft, ...others];
  }

  /** It is no draft any more. */
  drop(id: number): void {
    this.#changed = true;
    this.list.value = this.list.peek()?.filter((one) => one.id !== id);
  }
}
