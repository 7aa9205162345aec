import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { PostView } from '../../server/contract.ts';
import type { Random } from '../faults/random.ts';
import { type Answer, Api, type TestUser } from '../support/world.ts';

/** Tags that posts have; few, so that many posts have the same. */
export const TAGS = ['red', 'green', 'blue', 'coffee'];

/** Posts that are worked on: the newest. */
const KNOWN = 60;

/** A post as far as the people know it. */
interface KnownPost {
  id: number;
  rootId: number | null;
  ownerId: number;
  isPublished: boolean;
}

/** A relation that was answered for, or may be. */
export interface BlockWrite {
  userId: number;
  targetId: number;
  wanted: boolean;
  asked: number;
  /** When nothing was left on its way that was written before the answer. Undefined: nobody knows whether it was done. */
  answered: number | undefined;
}

/**
 * Turns of the event loop in which everything comes up that had been written to a connection before: each reads what has
 * come to every connection, and there is a proxy in between. However slow the machine is.
 */
const TURNS = 20;

interface Scene {
  user: TestUser;
  random: Random;
  /** Undefined: nobody knows what became of it. */
  send: (method: string, path: string, body?: object) => Promise<Answer<PostView> | undefined>;
}

type Op = (people: People, scene: Scene) => Promise<unknown>;

/** What people do, and how often. Another capability adds its own lines. */
const ops = {
  post: [24, (people, scene) => people.post(scene, true)],
  draft: [2, (people, scene) => people.post(scene, false)],
  reply: [20, (people, scene) => people.reply(scene)],
  edit: [16, (people, scene) => people.change(scene, 'edit')],
  withdraw: [3, (people, scene) => people.change(scene, 'withdraw')],
  publish: [4, (people, scene) => people.change(scene, 'publish')],
  delete: [8, (people, scene) => people.change(scene, 'delete')],
  follow: [9, (people, scene) => people.relate(scene, 'follow', true)],
  unfollow: [5, (people, scene) => people.relate(scene, 'follow', false)],
  block: [1, (people, scene) => people.relate(scene, 'block', true)],
  unblock: [2, (people, scene) => people.relate(scene, 'block', false)],
  mute: [2, (people, scene) => people.relate(scene, 'mute', true)],
  unmute: [2, (people, scene) => people.relate(scene, 'mute', false)],
  vote: [8, (people, scene) => people.vote(scene, 'PUT')],
  unvote: [4, (people, scene) => people.vote(scene, 'DELETE')],
  read: [4, (people, scene) => people.readNotifications(scene)],
} satisfies Record<string, [weight: number, op: Op]>;

/** How often people do what, against the others. */
export type Habits = Record<keyof typeof ops, number>;

const usual = Object.fromEntries(Object.entries(ops).map(([name, [weight]]) => [name, weight])) as Habits;

/** People who write at random, each one thing after the other, over whichever node answers. */
export class People {
  readonly users: readonly TestUser[];
  readonly blocks: BlockWrite[] = [];
  /** Answers that are bugs. */
  readonly faults: string[] = [];
  acknowledged = 0;
  /** Threads that were there before all else. */
  readonly firstThreads: number[] = [];
  readonly #urls: () => readonly string[];
  readonly #random: Random;
  readonly #habits: Habits;
  readonly #onRelating: (user: TestUser, answer: Promise<unknown>) => void;
  readonly #posts: KnownPost[] = [];
  readonly #related = new Map<string, { userId: number; targetId: number }>();
  #running: Promise<unknown> | undefined;
  #stopped = false;
  #serial = 0;

  /**
   * @param urls of the nodes that may be asked
   * @param habits that differ from the usual ones
   * @param onRelating is told that somebody has asked for a relation, and when that is answered
   */
  constructor(
    users: readonly TestUser[],
    urls: () => readonly string[],
    random: Random,
    habits: Partial<Habits>,
    onRelating: (user: TestUser, answer: Promise<unknown>) => void,
  ) {
    this.users = users;
    this.#urls = urls;
    this.#random = random;
    this.#habits = { ...usual, ...habits };
    this.#onRelating = onRelating;
  }

  /** The first people begin a thread each. */
  async begin(count: number): Promise<void> {
    for (const user of this.users.slice(0, count)) {
      await this.post(this.#sceneOf(user, this.#random), true);
      const [id] = this.threads.slice(-1);
      if (id !== undefined) this.firstThreads.push(id);
    }
  }

  /** The newest posts that began a thread. */
  get threads(): readonly number[] {
    return this.#posts.filter(({ rootId }) => rootId === null).map(({ id }) => id);
  }

  /** @param pace milliseconds between two writes of one, on average */
  start(pace: number): void {
    this.#stopped = false;
    this.#running = Promise.all(this.users.map((user) => this.#live(user, pace, this.#random.fork())));
  }

  /** Resolves when all have their last answers. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #live(user: TestUser, pace: number, random: Random): Promise<void> {
    await pause(random.between(0, pace));
    while (!this.#stopped) {
      const [, op]: [number, Op] = ops[random.weighted(this.#habits)];
      await op(this, this.#sceneOf(user, random));
      await pause(random.between(0.2, 1.8) * pace);
    }
  }

  #sceneOf(user: TestUser, random: Random): Scene {
    return { user, random, send: (method, path, body) => this.#send(user, random, method, path, body) };
  }

  async #send(
    user: TestUser,
    random: Random,
    method: string,
    path: string,
    body?: object,
  ): Promise<Answer<PostView> | undefined> {
    try {
      const answer = await new Api(random.pick(this.#urls()), user.token).request<PostView>(
        method,
        path,
        body,
      );
      if (answer.status < 300) this.acknowledged += 1;
      if (answer.status === 500) this.faults.push(`${method} ${path} was answered with 500`);
      return answer;
    } catch {
      return undefined;
    }
  }

  async post({ user, random, send }: Scene, published: boolean): Promise<void> {
    const body = { title: this.#words(random), content: this.#words(random), published };
    const answer = await send('POST', '/posts', body);
    if (answer?.status === 201)
      this.#know({ id: answer.body.id, rootId: null, ownerId: user.id, isPublished: published });
  }

  async reply({ user, random, send }: Scene): Promise<void> {
    // Mostly in the newest threads and the first ones, so that these grow.
    const first = this.#posts.find(({ id }) => id === this.firstThreads[random.below(10)]);
    const post = first ?? this.#posts.at(-1 - random.below(random.chance(0.7) ? 12 : KNOWN));
    if (!post) return;
    const answer = await send('POST', `/posts/${post.id}/replies`, {
      content: this.#words(random),
    });
    if (answer?.status === 201)
      this.#know({ id: answer.body.id, rootId: post.rootId ?? post.id, ownerId: user.id, isPublished: true });
    if (answer?.status === 404) this.#forget(post);
  }

  async change(
    { user, random, send }: Scene,
    what: 'edit' | 'publish' | 'withdraw' | 'delete',
  ): Promise<void> {
    const own = this.#posts.filter(
      ({ ownerId, rootId, isPublished }) =>
        ownerId === user.id &&
        (what === 'edit' || what === 'delete' || (rootId === null && isPublished === (what === 'withdraw'))),
    );
    if (own.length === 0) return;
    const post = random.pick(own);
    if (what === 'delete') {
      const answer = await send('DELETE', `/posts/${post.id}`);
      if (answer && answer.status < 500) this.#forget(post);
    } else if (what === 'edit') await send('PATCH', `/posts/${post.id}`, { content: this.#words(random) });
    else {
      const answer = await send('PATCH', `/posts/${post.id}`, { published: what === 'publish' });
      if (answer?.status === 200) post.isPublished = what === 'publish';
    }
  }

  async vote({ random, send }: Scene, method: 'PUT' | 'DELETE'): Promise<void> {
    const post = this.#posts.at(-1 - random.below(12));
    if (post) await send(method, `/posts/${post.id}/vote`);
  }

  /** Up to some revision, whether the reader has seen it or not. */
  async readNotifications({ random, send }: Scene): Promise<void> {
    await send('PUT', '/notifications/read', { up_to: random.below(40) });
  }

  async relate(
    { user, random, send }: Scene,
    kind: 'follow' | 'block' | 'mute',
    wanted: boolean,
  ): Promise<void> {
    const ended = [...this.#related].filter(
      ([key, { userId }]) => key.startsWith(kind) && userId === user.id,
    );
    const target = wanted
      ? random.pick(this.users.filter(({ id }) => id !== user.id)).id
      : ended.length > 0 && random.pick(ended)[1].targetId;
    if (target === false) return;
    const block: BlockWrite = {
      userId: user.id,
      targetId: target,
      wanted,
      asked: Date.now(),
      answered: undefined,
    };
    if (kind === 'block') this.blocks.push(block);
    const asked = send(wanted ? 'PUT' : 'DELETE', `/users/${target}/${kind}`);
    this.#onRelating(user, asked);
    const answer = await asked;
    if (answer?.status !== 200) return;
    for (let turns = 0; turns < TURNS; turns += 1) await turn();
    block.answered = Date.now();
    const key = `${kind} ${user.id} ${target}`;
    if (wanted) this.#related.set(key, { userId: user.id, targetId: target });
    else this.#related.delete(key);
  }

  #words(random: Random): string {
    this.#serial += 1;
    const tags = TAGS.filter(() => random.chance(0.25)).map((tag) => `#${tag}`);
    const mention = random.chance(0.15) ? [`@${random.pick(this.users).username}`] : [];
    return [`words ${this.#serial}`, ...tags, ...mention].join(' ');
  }

  #know(post: KnownPost): void {
    this.#posts.push(post);
    const oldest = this.#posts.findIndex(({ id }) => !this.firstThreads.includes(id));
    if (this.#posts.length > KNOWN) this.#posts.splice(oldest, 1);
  }

  #forget({ id }: KnownPost): void {
    const gone = this.#posts.filter((post) => post.id === id || post.rootId === id);
    for (const post of gone) this.#posts.splice(this.#posts.indexOf(post), 1);
  }
}
