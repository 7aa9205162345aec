import { setTimeout as pause } from 'node:timers/promises';
import type { PostView } from '../../server/contract.ts';
import { arrive } from '../faults/population.ts';
import type { Random } from '../faults/random.ts';
import { type Answer, Api, type TestUser } from '../support/world.ts';
import { Accounts, allCome } from './accounts.ts';
import { ModerationRecord } from './moderators.ts';

/** Tags that posts have; few, so that many posts have the same. */
export const TAGS = ['red', 'green', 'blue', 'coffee'];

/** Posts that are worked on: the newest. */
const KNOWN = 60;

/** People who moderate at once, at most, beside the administrator. */
const MODERATORS = 2;
/** How long a suspension lasts that has an end. Milliseconds. */
const SUSPENDED_FOR = 1500;

/** A post as far as the people know it. */
interface KnownPost {
  id: number;
  rootId: number | null;
  parentId: number | null;
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
  regret: [2, (people, scene) => people.regret(scene)],
  follow: [9, (people, scene) => people.relate(scene, 'follow', true)],
  unfollow: [5, (people, scene) => people.relate(scene, 'follow', false)],
  block: [1, (people, scene) => people.relate(scene, 'block', true)],
  unblock: [2, (people, scene) => people.relate(scene, 'block', false)],
  mute: [2, (people, scene) => people.relate(scene, 'mute', true)],
  unmute: [2, (people, scene) => people.relate(scene, 'mute', false)],
  vote: [8, (people, scene) => people.vote(scene, 'PUT')],
  unvote: [4, (people, scene) => people.vote(scene, 'DELETE')],
  read: [4, (people, scene) => people.readNotifications(scene)],
  report: [4, (people, scene) => people.report(scene)],
  remove: [3, (people, scene) => people.judgePost(scene, 'remove')],
  restore: [3, (people, scene) => people.judgePost(scene, 'restore')],
  lock: [1, (people, scene) => people.judgePost(scene, 'lock')],
  warn: [1, (people, scene) => people.warn(scene)],
  suspend: [1, (people, scene) => people.suspend(scene)],
  unsuspend: [2, (people, scene) => people.unsuspend(scene)],
  promote: [1, (people, scene) => people.promote(scene)],
  demote: [1, (people, scene) => people.demote(scene)],
  rename: [1, (people, scene) => people.rename(scene)],
  leave: [1, (people, scene) => people.leave(scene)],
  erase: [4, (people, scene) => people.erase(scene)],
} satisfies Record<string, [weight: number, op: Op]>;

/** How often people do what, against the others. */
export type Habits = Record<keyof typeof ops, number>;

const usual = Object.fromEntries(Object.entries(ops).map(([name, [weight]]) => [name, weight])) as Habits;

interface PeopleOptions {
  /** Of the nodes that may be asked. */
  urls: () => readonly string[];
  random: Random;
  /** What they do more or less often than usual. */
  habits: Partial<Habits>;
  /** Gives somebody a role, as the operator does. */
  grant: (user: TestUser, role: 'user' | 'moderator' | 'admin') => Promise<void>;
  /** Is told that somebody has asked for a relation, and when that is answered. */
  onRelating: (user: TestUser, answer: Promise<unknown>) => void;
  /** Is told of those who come in the place of one who has left. */
  onArrival: (user: TestUser) => void;
}

/** People who write at random, each one thing after the other, over whichever node answers. */
export class People {
  /** The guests are the last of them. */
  readonly users: TestUser[];
  readonly accounts: Accounts;
  readonly moderation = new ModerationRecord();
  readonly blocks: BlockWrite[] = [];
  /** Answers that are bugs. */
  readonly faults: string[] = [];
  acknowledged = 0;
  /** Threads that were there before all else. */
  readonly firstThreads: number[] = [];
  readonly #options: PeopleOptions;
  readonly #guests: number;
  readonly #random: Random;
  readonly #habits: Habits;
  readonly #posts: KnownPost[] = [];
  readonly #removed: KnownPost[] = [];
  readonly #locked = new Set<number>();
  /** Who moderates; the first one is the administrator. */
  readonly #moderators: TestUser[] = [];
  readonly #related = new Map<string, { userId: number; targetId: number }>();
  #running: Promise<unknown> | undefined;
  #stopped = false;
  #serial = 0;

  /** @param guests how many of the users may delete their accounts: the last ones */
  constructor(users: readonly TestUser[], guests: number, options: PeopleOptions) {
    this.users = [...users];
    this.#guests = guests;
    this.#options = options;
    this.#random = options.random;
    this.#habits = { ...usual, ...options.habits };
    const urls = this.#random.fork();
    this.accounts = new Accounts(() => urls.pick(options.urls()));
  }

  /** The first people begin a thread each. */
  async begin(count: number): Promise<void> {
    for (const user of this.users.slice(0, count)) {
      await this.post(this.#sceneOf(user, this.#random), true);
      const [id] = this.threads.slice(-1);
      if (id !== undefined) this.firstThreads.push(id);
    }
    const [admin] = this.users;
    if (admin) await this.#options.grant(admin, 'admin');
    if (admin) this.#moderators.push(admin);
  }

  /** The newest posts that began a thread. */
  get threads(): readonly number[] {
    return this.#posts.filter(({ rootId }) => rootId === null).map(({ id }) => id);
  }

  /** @param pace milliseconds between two writes of one, on average */
  start(pace: number): void {
    this.#stopped = false;
    this.#running = Promise.all(this.users.map((_, place) => this.#live(place, pace, this.#random.fork())));
  }

  /** Resolves when all have their last answers. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #live(place: number, pace: number, random: Random): Promise<void> {
    await pause(random.between(0, pace));
    while (!this.#stopped) {
      const user = this.users[place];
      if (user && this.accounts.isGone(user.id)) await this.#welcome(place, random);
      else if (user && !this.accounts.isShutOut(user.id)) {
        const [, op]: [number, Op] = ops[random.weighted(this.#habits)];
        await op(this, this.#sceneOf(user, random));
      }
      await pause(random.between(0.2, 1.8) * pace);
    }
  }

  /** Somebody comes in the place of one who has left. */
  async #welcome(place: number, random: Random): Promise<void> {
    const user = await arrive(random.pick(this.#options.urls())).catch(() => undefined);
    if (!user) return;
    this.users[place] = user;
    this.#options.onArrival(user);
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
      const answer = await new Api(random.pick(this.#options.urls()), user.token).request<PostView>(
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
      this.#know({
        id: answer.body.id,
        rootId: null,
        parentId: null,
        ownerId: user.id,
        isPublished: published,
      });
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
      this.#know({
        id: answer.body.id,
        rootId: post.rootId ?? post.id,
        parentId: post.id,
        ownerId: user.id,
        isPublished: true,
      });
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
    if (what === 'delete') await this.#delete(post, send);
    else if (what === 'edit') await send('PATCH', `/posts/${post.id}`, { content: this.#words(random) });
    else {
      const answer = await send('PATCH', `/posts/${post.id}`, { published: what === 'publish' });
      if (answer?.status === 200) post.isPublished = what === 'publish';
    }
  }

  /** Somebody deletes a reply that others have replied to. */
  async regret({ user, random, send }: Scene): Promise<void> {
    const repliedTo = new Set(this.#posts.map(({ parentId }) => parentId));
    const own = this.#posts.filter(
      ({ id, ownerId, rootId }) => ownerId === user.id && rootId !== null && repliedTo.has(id),
    );
    if (own.length > 0) await this.#delete(random.pick(own), send);
  }

  async #delete(post: KnownPost, send: Scene['send']): Promise<void> {
    const answer = await send('DELETE', `/posts/${post.id}`);
    if (answer && answer.status < 500) this.#forget(post);
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
    this.#options.onRelating(user, asked);
    const answer = await asked;
    if (answer?.status !== 200) return;
    await allCome();
    block.answered = Date.now();
    const key = `${kind} ${user.id} ${target}`;
    if (wanted) this.#related.set(key, { userId: user.id, targetId: target });
    else this.#related.delete(key);
  }

  /** A post, or its owner. */
  async report({ user, random, send }: Scene): Promise<void> {
    const post = this.#posts.at(-1 - random.below(12));
    if (!post || post.ownerId === user.id) return;
    const isOfPost = random.chance(0.7);
    this.moderation.reports.push({ reporterId: user.id, postId: isOfPost ? post.id : null });
    const path = isOfPost ? `/posts/${post.id}` : `/users/${post.ownerId}`;
    await send('PUT', `${path}/report`, { reason: 'spam' });
  }

  /** What is locked is unlocked. */
  async judgePost({ random }: Scene, what: 'remove' | 'restore' | 'lock'): Promise<void> {
    const isRoot = ({ rootId }: KnownPost) => rootId === null;
    const posts = what === 'lock' ? this.#posts.filter(isRoot) : this.#posts;
    const post = what === 'restore' ? this.#removed[0] : posts.at(-1 - random.below(12));
    if (!post) return;
    const action = what === 'lock' && this.#locked.has(post.id) ? 'unlock' : what;
    if (what === 'restore') this.#removed.shift();
    const answer = await this.#act(random, action, post.ownerId, post.id);
    if (what === 'restore' && answer?.status === 201) this.#know(post);
    if (what === 'remove' && answer?.status === 201) {
      this.#forget(post);
      this.#removed.push(post);
    }
    if (action === 'lock') this.#locked.add(post.id);
    if (action === 'unlock') this.#locked.delete(post.id);
  }

  async warn({ random }: Scene): Promise<void> {
    const post = this.#posts.at(-1 - random.below(12));
    if (post) await this.#act(random, 'warn', post.ownerId, random.chance(0.5) ? post.id : undefined);
  }

  async suspend({ random }: Scene): Promise<void> {
    const user = random.pick(this.users);
    const isNeeded = this.#moderators.includes(user) || this.accounts.isShutOut(user.id);
    if (isNeeded || this.accounts.suspended.length >= this.users.length / 4) return;
    const hasEnd = random.chance(0.3);
    const until = hasEnd ? { until: new Date(Date.now() + SUSPENDED_FOR).toISOString() } : {};
    await this.accounts.exclusively(user.id, () =>
      this.accounts.suspend(user, hasEnd, () => this.#act(random, 'suspend', user.id, undefined, until)),
    );
  }

  async unsuspend({ random }: Scene): Promise<void> {
    const [id] = this.accounts.suspended;
    const user = this.users.find((one) => one.id === id);
    if (user)
      await this.accounts.exclusively(user.id, () =>
        this.accounts.unsuspend(user, () => this.#act(random, 'unsuspend', user.id)),
      );
  }

  async promote({ random }: Scene): Promise<void> {
    const user = random.pick(this.users);
    const isOther =
      this.#moderators.includes(user) || this.accounts.isShutOut(user.id) || this.#isGuest(user);
    if (isOther || this.#moderators.length > MODERATORS) return;
    this.#moderators.push(user);
    await this.accounts.exclusively(user.id, () => this.#options.grant(user, 'moderator'));
  }

  async demote({ random }: Scene): Promise<void> {
    const [, ...others] = this.#moderators;
    if (others.length === 0) return;
    const user = random.pick(others);
    this.#moderators.splice(this.#moderators.indexOf(user), 1);
    await this.accounts.exclusively(user.id, () => this.#options.grant(user, 'user'));
  }

  /** By one who moderates. @param postId undefined: it is about the user */
  async #act(random: Random, action: string, userId: number, postId?: number, more: object = {}) {
    const others = this.#moderators.filter(({ id }) => id !== userId);
    if (others.length === 0) return undefined;
    const act = { action, userId, postId: postId ?? null, isDone: false };
    this.moderation.acts.push(act);
    const target = postId === undefined ? { user_id: userId } : { post_id: postId };
    const body = { action, ...target, reason: this.#words(random), ...more };
    const answer = await this.#send(random.pick(others), random, 'POST', '/moderation/actions', body);
    act.isDone = answer?.status === 201;
    return answer;
  }

  async rename({ user, send }: Scene): Promise<void> {
    this.#serial += 1;
    await this.accounts.exclusively(user.id, async () => {
      const username = `n${user.id}-${this.#serial}`;
      const answer = await send('PATCH', '/users/me', { username });
      if (answer?.status === 200) Object.assign(user, { username });
    });
  }

  /** Logs out and in again. */
  async leave({ user, send }: Scene): Promise<void> {
    await this.accounts.exclusively(user.id, async () => {
      const answer = await this.accounts.end(user.id, () => send('POST', '/logout'));
      if (answer) await this.accounts.enter(user, 'after logging out');
    });
  }

  /** Only guests do. */
  async erase({ user, send }: Scene): Promise<void> {
    if (!this.#isGuest(user)) return;
    const { password } = user;
    await this.accounts.exclusively(user.id, () =>
      this.accounts.erase(user, () => send('DELETE', '/users/me', { password })),
    );
  }

  #isGuest(user: TestUser): boolean {
    return this.users.indexOf(user) >= this.users.length - this.#guests;
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
