import { setTimeout as pause } from 'node:timers/promises';
import type { FollowChange, Subscribed } from '../../../server/contract.ts';
import { Random } from '../../faults/random.ts';
import { RawClient } from '../../support/raw-client.ts';
import { until } from '../../support/waiting.ts';
import { Api, signUp, type TestUser } from '../../support/world.ts';
import { type Kind, kinds, type Listed, ListFold, type Numbered } from './fold.ts';
import { ListWriters, patiently, TAGS } from './writers.ts';

export interface ListsOptions {
  /** Of the nodes: a list may be read on one, and be subscribed to on another. */
  urls: readonly string[];
  seed: number;
  /** How often a list is read and then subscribed to, all kinds together. */
  count: number;
  /** After so many seconds nothing more is begun. */
  seconds: number;
  /** A planted bug: the position of the list is not said, so that what came since is lost. */
  forgetsPosition?: boolean;
  /** Whether these are enough violations to end with. Default: twenty are. */
  isEnough?: (violations: readonly string[]) => boolean;
}

export interface ListsReport {
  /** How often each kind of list was read, subscribed to and held against the list read later. */
  checked: Record<Kind, number>;
  /** Those of them in which something came between the list and the subscription. */
  between: Record<Kind, number>;
  /** Writes meanwhile. */
  written: number;
  /** Events between the two lists. */
  events: number;
  violations: string[];
}

const WRITERS = 5;
const READERS_OF_EACH = 2;
/** Between a list and its subscription. Milliseconds. */
const LATER = 30;
const MANY = 20;
/** Milliseconds. */
const PATIENCE = 30_000;

/** A list, the topic of what comes behind it, and the thread that it is of. */
interface Choice {
  path: string;
  topic: string;
  root?: number;
}

interface Page {
  seq: number;
  epoch: string;
  posts: Listed[];
}

/**
 * Reads lists and subscribes from their positions, again and again, while others write. The list with the events behind
 * it must be the list as it is read later: so nothing is lost, and nothing told that is not so.
 */
export async function fuzzLists(options: ListsOptions): Promise<ListsReport> {
  const random = new Random(options.seed);
  const [url = ''] = options.urls;
  const people: TestUser[] = [];
  while (people.length < WRITERS + 1 + READERS_OF_EACH * kinds.length) people.push(await signUp(url));
  const writers = new ListWriters(people.splice(0, WRITERS), options.urls, random.fork());
  const [target] = people.splice(0, 1);
  const none = () => Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>;
  const report: ListsReport = { checked: none(), between: none(), written: 0, events: 0, violations: [] };
  const began = Date.now();
  const { isEnough = ({ length }) => length >= MANY } = options;
  let left = options.count;
  const next = () => {
    left -= 1;
    return left >= 0 && Date.now() - began < options.seconds * 1000 && !isEnough(report.violations);
  };
  try {
    await until('some threads', () => writers.threads.size >= WRITERS, PATIENCE);
    await Promise.all(
      people.map(async (user, at) => {
        const kind = kinds[at % kinds.length]!;
        const reader = new ListReader(kind, user, target!.id, writers, options, random.fork());
        await reader.run(next, report);
      }),
    );
  } finally {
    await writers.stop();
  }
  report.written = writers.done;
  report.violations.push(...writers.faults);
  report.violations = report.violations.map((violation) => `seed ${options.seed}: ${violation}`);
  return report;
}

/**
 * In what a list is otherwise than the fold up to its position. What was committed when the list was read, and had no
 * number yet, is on it, and told behind its position: so each post may be as one of the later events says.
 */
function differencesOf(fold: ListFold, after: readonly Numbered[], posts: readonly Listed[]): string[] {
  // Whom the reader no longer follows by then: of what they had just written the stream says nothing any more.
  const unfollowed = new Set(
    after
      .filter(({ name }) => name === 'follow:removed')
      .map(({ data }) => (data as FollowChange).followee.id),
  );
  const byUnfollowed = new Set(posts.filter(({ owner_id }) => unfollowed.has(owner_id)).map(({ id }) => id));
  let left = new Map([...fold.differences(posts)].filter(([id]) => !byUnfollowed.has(id)));
  for (const event of after) {
    if (left.size === 0) break;
    fold.take(event);
    const still = fold.differences(posts);
    left = new Map([...left].filter(([id]) => still.has(id)));
  }
  return [...left].map(([id, what]) => `${id} ${what}`);
}

/** One user who reads lists of one kind. */
class ListReader {
  readonly #kind: Kind;
  readonly #user: TestUser;
  /** Whom it mutes and unmutes: what that tells comes to it behind all that was there before. */
  readonly #target: number;
  readonly #writers: ListWriters;
  readonly #options: ListsOptions;
  readonly #random: Random;
  #muted = false;
  #asked = 0;

  constructor(
    kind: Kind,
    user: TestUser,
    target: number,
    writers: ListWriters,
    options: ListsOptions,
    random: Random,
  ) {
    this.#kind = kind;
    this.#user = user;
    this.#target = target;
    this.#writers = writers;
    this.#options = options;
    this.#random = random;
  }

  async run(next: () => boolean, report: ListsReport): Promise<void> {
    const url = this.#random.pick(this.#options.urls);
    const client = this.#kind === 'public' ? undefined : await this.#join(url, { topics: [] });
    let isOver = false;
    const following = this.#kind === 'home' ? this.#followAtRandom(() => isOver) : undefined;
    try {
      while (next()) await this.#check(client, url, report);
    } finally {
      isOver = true;
      await following;
      client?.terminate();
    }
  }

  #join(url: string, more: object): Promise<RawClient> {
    return RawClient.join(url, { token: this.#user.token, tallies: 'none', ...more });
  }

  /** Follows and unfollows writers while lists are read. */
  async #followAtRandom(isOver: () => boolean): Promise<void> {
    const random = this.#random.fork();
    while (!isOver()) {
      const { id } = random.pick(this.#writers.users);
      await this.#api(random).request(random.chance(0.6) ? 'PUT' : 'DELETE', `/users/${id}/follow`);
      await pause(300 * random.next());
    }
  }

  #api(random = this.#random): Api {
    return new Api(random.pick(this.#options.urls), this.#user.token);
  }

  #choose(): Choice | undefined {
    const random = this.#random;
    switch (this.#kind) {
      case 'public':
        return { path: '/posts?replies=true', topic: 'public' };
      case 'feed':
        return { path: '/posts?sort=new', topic: 'feed' };
      case 'home':
        return { path: '/posts?view=home', topic: 'home' };
      case 'author': {
        const { id } = random.pick(this.#writers.users);
        return { path: `/posts?owner_id=${id}&replies=true`, topic: `author:${id}` };
      }
      case 'thread': {
        const { busyThreads } = this.#writers;
        if (busyThreads.length === 0) return undefined;
        const root = random.pick(busyThreads);
        return { path: `/posts/${root}/replies?sort=old`, topic: `thread:${root}`, root };
      }
      case 'tag': {
        const tag = random.pick(TAGS);
        return { path: `/posts?tag=${tag}&replies=true`, topic: `tag:${tag}` };
      }
    }
  }

  /** @returns undefined if the thread is gone */
  async #read(path: string): Promise<Page | undefined> {
    const { status, headers, body } = await patiently(() =>
      this.#api().get<Listed[]>(`${path}${path.includes('?') ? '&' : '?'}limit=100`),
    );
    if (status === 404 && this.#kind === 'thread') return undefined;
    if (status !== 200 || headers.has('link')) throw new Error(`${path}: ${status}, ${body.length} posts`);
    return { posts: body, seq: Number(headers.get('x-feed-seq')), epoch: headers.get('x-feed-epoch') ?? '' };
  }

  /** Reads a list, subscribes from there, reads it again, and holds the one with the events between against the other. */
  async #check(client: RawClient | undefined, url: string, report: ListsReport): Promise<void> {
    const choice = this.#choose();
    const first = choice && (await this.#read(choice.path));
    if (!first) return;
    await pause(LATER * this.#random.next());
    const { seq: from, epoch } = first;
    const position = this.#options.forgetsPosition ? {} : { from, epoch };
    const connected =
      client ??
      (await this.#join(url, this.#options.forgetsPosition ? {} : { after: first.seq, epoch: first.epoch }));
    const events: Numbered[] = client ? await this.#subscribe(client, choice.topic, position) : [];
    const answered = events.length;
    await pause(LATER * this.#random.next());
    const second = await this.#read(choice.path);
    await this.#awaitMarker(connected);
    for (const { name, args } of connected.events)
      if (args.length === 2)
        events.push({ name, data: args[0] as object, seq: (args[1] as { seq: number }).seq });
    const upTo = second?.seq ?? Infinity;
    const fold = new ListFold(
      { kind: this.#kind, viewer: this.#user.id, root: choice.root, returned: this.#writers.returned },
      first.posts,
    );
    const behind = events.filter(({ seq }) => seq > from).sort((one, other) => one.seq - other.seq);
    const [between, after] = [
      behind.filter(({ seq }) => seq <= upTo),
      behind.filter(({ seq }) => seq > upTo),
    ];
    for (const event of between) fold.take(event);
    const differences = second ? differencesOf(fold, after, second.posts) : [];
    if (!second && fold.size > 0) differences.push('the thread is gone, and no event told it');
    const seqs = events.map(({ seq }) => seq);
    if (new Set(seqs).size < seqs.length) differences.push('an event came twice');
    for (const difference of differences)
      report.violations.push(`${choice.topic}, ${from} to ${upTo}: ${difference}`);
    report.checked[this.#kind] += 1;
    report.events += between.length;
    if (client ? answered > 0 : between.length > 0) report.between[this.#kind] += 1;
    if (client) await this.#ask(client, 'unsubscribe', { topics: [choice.topic] });
    else connected.terminate();
    connected.events.length = 0;
    connected.frames.length = 0;
  }

  async #subscribe(client: RawClient, topic: string, position: object): Promise<Numbered[]> {
    const { events, reset } = await this.#ask<Subscribed>(client, 'subscribe', {
      topics: [topic],
      ...position,
    });
    if (reset) throw new Error(`${topic} could not be handed over`);
    return [...events] as unknown as Numbered[];
  }

  async #ask<T>(client: RawClient, name: string, payload: object): Promise<T> {
    this.#asked += 1;
    client.emit(name, payload, this.#asked);
    const start = `43${this.#asked}[`;
    await until('the answer', () => client.frames.some((frame) => frame.startsWith(start)), PATIENCE);
    const answer = (await client.acknowledged(this.#asked)) as { ok: boolean; data: T };
    if (!answer.ok) throw new Error(`${name}: ${JSON.stringify(answer)}`);
    return answer.data;
  }

  /** Until something has come that was written behind the second list. */
  async #awaitMarker(client: RawClient): Promise<void> {
    this.#muted = !this.#muted;
    const { status, body } = await patiently(() =>
      this.#api().request<{ seq: number }>(this.#muted ? 'PUT' : 'DELETE', `/users/${this.#target}/mute`),
    );
    if (status !== 200) throw new Error(`a mute: ${status}`);
    await until(
      'the marker',
      () => client.events.some(({ args }) => (args[1] as { seq?: number } | undefined)?.seq === body.seq),
      PATIENCE,
    );
  }
}
