import type { Account } from '../accounts.ts';
import { call } from '../rest.ts';

/** Posts that there are once it has gone on for a while: the oldest goes for each new one. */
const LIVING = 2000;
const TAGS = ['tea', 'rain', 'chess', 'bread', 'moss', 'trains', 'violin', 'harbour'];
/** About as long as people write. Characters. */
const LENGTH = 160;

interface Written {
  id: number;
  by: Account;
}

/** Users of a community that stays as large as it is: they write, reply, vote, edit, delete, follow and read. */
export class People {
  readonly #url: string;
  readonly #accounts: readonly Account[];
  readonly #posts: Written[] = [];
  #number = 0;
  /** Requests that were answered, and those that failed by what they said. */
  done = 0;
  readonly failed = new Map<string, number>();

  constructor(url: string, accounts: readonly Account[]) {
    this.#url = url;
    this.#accounts = accounts;
  }

  /** One act of somebody. Never rejects. */
  async act(): Promise<void> {
    try {
      await this.#act();
      this.done += 1;
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      this.failed.set(what, (this.failed.get(what) ?? 0) + 1);
    }
  }

  async #act(): Promise<void> {
    const me = pick(this.#accounts);
    const post = this.#posts.length > 0 ? pick(this.#posts) : undefined;
    const chance = Math.random();
    if (chance < 0.25 || !post) await this.#write(me, undefined);
    else if (chance < 0.4) await this.#write(me, post);
    else if (chance < 0.65)
      await this.#ask(me, Math.random() < 0.7 ? 'PUT' : 'DELETE', `/posts/${post.id}/vote`);
    else if (chance < 0.72) await this.#ask(post.by, 'PATCH', `/posts/${post.id}`, { content: this.#text() });
    else if (chance < 0.77) {
      const other = pick(this.#accounts);
      if (other.id !== me.id)
        await this.#ask(me, Math.random() < 0.5 ? 'PUT' : 'DELETE', `/users/${other.id}/follow`);
    } else if (chance < 0.85) await this.#ask(me, 'GET', '/posts?view=home&limit=20');
    else if (chance < 0.92) await this.#ask(me, 'GET', `/posts?limit=20&sort=hot&tag=${pick(TAGS)}`);
    else if (chance < 0.97) await this.#ask(me, 'GET', `/posts/${post.id}/replies?limit=50`);
    else await this.#ask(me, 'GET', '/notifications?limit=20');
    if (this.#posts.length > LIVING) {
      const oldest = this.#posts.shift();
      if (oldest) await this.#ask(oldest.by, 'DELETE', `/posts/${oldest.id}`);
    }
  }

  async #write(by: Account, to: Written | undefined): Promise<void> {
    const content = this.#text();
    const { body } = to
      ? await call(this.#url, 'POST', `/posts/${to.id}/replies`, { token: by.token, body: { content } })
      : await call(this.#url, 'POST', '/posts', {
          token: by.token,
          body: { title: `Number ${this.#number}`, content },
        });
    this.#posts.push({ id: (body as { id: number }).id, by });
  }

  /** What is gone meanwhile is nobody's fault. */
  async #ask(by: Account, method: string, path: string, body?: object): Promise<void> {
    await call(this.#url, method, path, { token: by.token, body }).catch((error: unknown) => {
      const status = (error as { status?: number }).status;
      if (status !== 404 && status !== 409) throw error;
    });
  }

  #text(): string {
    this.#number += 1;
    return `#${pick(TAGS)} ${this.#number} ${'a few more words '.repeat(20)}`.slice(0, LENGTH);
  }
}

function pick<T>(items: readonly T[]): T {
  const item = items[Math.floor(Math.random() * items.length)];
  if (item === undefined) throw new RangeError('there is nothing to pick from');
  return item;
}
