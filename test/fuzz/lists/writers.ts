import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../faults/random.ts';
import { type Answer, Api, type TestUser } from '../../support/world.ts';

/** Posts, and replies, that one writer has at most: all of them together fit one page of a list. */
const MOST_POSTS = 9;
const MOST_REPLIES = 5;
/** Threads that are replied to at a time. */
const BUSY = 3;
/** Between two writes of one writer. Milliseconds. */
const PAUSE = 20;

export const TAGS = ['tea', 'coffee', 'mate'] as const;

interface Reply {
  id: number;
  root: number;
}

const ATTEMPTS = 20;
/** Milliseconds. */
const ATTEMPT_INTERVAL = 250;

/** Asks again as long as the answer is a 503: on a starved machine the database may not answer in time. */
export async function patiently<T>(ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask();
    if (answer.status !== 503 || attempt >= ATTEMPTS) return answer;
    await pause(ATTEMPT_INTERVAL);
  }
}

/** Users who post, edit, tag, reply, delete, withdraw and publish again, each on what is theirs. */
export class ListWriters {
  readonly users: readonly TestUser[];
  /** Posts that can be replied to. */
  readonly threads = new Set<number>();
  /** Posts that were withdrawn and published again, each with its thread. */
  readonly returned = new Set<number>();
  readonly faults: string[] = [];
  done = 0;
  readonly #urls: readonly string[];
  #stopped = false;
  readonly #all: Promise<unknown>;

  constructor(users: readonly TestUser[], urls: readonly string[], random: Random) {
    this.users = users;
    this.#urls = urls;
    this.#all = Promise.all(users.map((user) => this.#write(user, random.fork())));
  }

  /** The newest of them, in which most is said. */
  get busyThreads(): number[] {
    return [...this.threads].slice(-BUSY);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#all;
  }

  /** Some text, often with a tag. */
  #text(random: Random): string {
    const words = `words ${random.below(1_000_000)}`;
    return random.chance(0.6) ? `${words} #${random.pick(TAGS)}` : words;
  }

  async #write(user: TestUser, random: Random): Promise<void> {
    const posts: { id: number; published: boolean }[] = [];
    const replies: Reply[] = [];
    const send = async <T = { id: number }>(method: string, path: string, body?: object, gone = false) => {
      const headers = method === 'POST' ? { 'idempotency-key': randomUUID() } : {};
      const api = new Api(random.pick(this.#urls), user.token);
      let repeated = -1;
      const answer = await patiently(() => {
        repeated += 1;
        return api.request<T>(method, path, body, headers);
      });
      this.done += 1;
      const isGone = (gone || (method === 'DELETE' && repeated > 0)) && [404, 409].includes(answer.status);
      if (answer.status >= 300 && !isGone)
        this.faults.push(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer;
    };
    const post = async () => {
      const { status, body } = await send('POST', '/posts', {
        title: 'A title',
        content: this.#text(random),
      });
      if (status !== 201) return;
      posts.push({ id: body.id, published: true });
      this.threads.add(body.id);
    };
    const removePost = async () => {
      const [one] = posts.splice(random.below(posts.length), 1);
      if (!one) return;
      this.threads.delete(one.id);
      await send('DELETE', `/posts/${one.id}`);
    };
    const reply = async () => {
      const root = random.pick(this.busyThreads);
      const near = random.chance(0.5) ? replies.find((one) => one.root === root)?.id : undefined;
      const { status, body } = await send(
        'POST',
        `/posts/${near ?? root}/replies`,
        { content: this.#text(random) },
        true,
      );
      if (status === 201) replies.push({ id: body.id, root });
    };
    const removeReply = async () => {
      const [one] = replies.splice(random.below(replies.length), 1);
      if (one) await send('DELETE', `/posts/${one.id}`, undefined, true);
    };
    const edit = async () => {
      const isReply = replies.length > 0 && random.chance(0.3);
      const { id } = isReply ? random.pick(replies) : random.pick(posts);
      await send('PATCH', `/posts/${id}`, { content: this.#text(random) }, isReply);
    };
    const turn = async () => {
      const one = random.pick(posts);
      one.published = !one.published;
      // Not before it can be replied to, nor after.
      if (one.published) this.returned.add(one.id);
      else this.threads.delete(one.id);
      await send('PATCH', `/posts/${one.id}`, { published: one.published });
      if (one.published) this.threads.add(one.id);
    };
    while (!this.#stopped) {
      if (posts.length >= MOST_POSTS) await removePost();
      else if (replies.length >= MOST_REPLIES) await removeReply();
      else if (posts.length < 3 || this.threads.size === 0) await post();
      else
        await {
          post,
          edit,
          reply,
          removePost,
          removeReply,
          turn,
        }[random.weighted({ post: 3, edit: 4, reply: 3, removePost: 1, removeReply: 1, turn: 1 })]();
      await pause(PAUSE * 2 * random.next());
    }
  }
}
