import { setTimeout as pause } from 'node:timers/promises';
import type { NotificationState, NotificationView } from '../../server/contract.ts';
import { Random } from '../faults/random.ts';
import { RawClient } from '../support/raw-client.ts';
import { until } from '../support/waiting.ts';
import { type Answer, Api, signUp, type TestUser } from '../support/world.ts';
import { patiently } from './lists/writers.ts';

export interface ReadsOptions {
  /** Of the nodes: the reader has a device on each. */
  urls: readonly string[];
  seed: number;
  /** How often notifications are marked as read while others make new ones. */
  count: number;
  /** After so many seconds nothing more is begun. */
  seconds: number;
}

export interface ReadsReport {
  /** How often they were marked as read. */
  reads: number;
  /** How often something came that was later than its reader saw, and had to stay unread. */
  later: number;
  /** States of the number of unread ones that were held against what a device knows. */
  states: number;
  violations: string[];
}

interface Listed extends NotificationState {
  notifications: NotificationView[];
}

/** So many users read at a time. */
const READERS = 4;
/** Of each reader. */
const ACTORS = 3;
const POSTS = 4;
const POST = { title: 'A post', content: '' };
/** What one actor has written at most: all notifications of the reader fit one page. */
const MOST_REPLIES = 8;
/** Within so long the acts and the reading of one round begin. Milliseconds. */
const ROUND = 12;
/** Milliseconds. */
const PATIENCE = 30_000;
const MANY = 20;

/**
 * Marks notifications as read up to what a list or a device has shown, again and again, while others reply, mention, vote
 * and delete. After each round exactly those are read that some reader could have seen, and each device has the list.
 */
export async function fuzzReads(options: ReadsOptions): Promise<ReadsReport> {
  const random = new Random(options.seed);
  const report: ReadsReport = { reads: 0, later: 0, states: 0, violations: [] };
  const began = Date.now();
  const next = () => {
    const goesOn =
      report.reads < options.count &&
      Date.now() - began < options.seconds * 1000 &&
      report.violations.length < MANY;
    if (goesOn) report.reads += 1;
    return goesOn;
  };
  await Promise.all(
    Array.from({ length: READERS }, () => readAgainAndAgain(options, random.fork(), next, report)),
  );
  return report;
}

/** One reader with a device on each node, and those who do something that the reader is notified of. */
async function readAgainAndAgain(
  { urls, seed }: ReadsOptions,
  random: Random,
  next: () => boolean,
  report: ReadsReport,
): Promise<void> {
  const [url = ''] = urls;
  const reader = await signUp(url);
  const actors: Actor[] = [];
  while (actors.length < ACTORS) actors.push(new Actor(await signUp(url), urls, random.fork()));
  const anywhere = () => new Api(random.pick(urls), reader.token);
  const posts: number[] = [];
  while (posts.length < POSTS)
    posts.push((await good(() => anywhere().post<{ id: number }>('/posts', POST))).id);
  const devices = await Promise.all(
    urls.map(async (node) => new Device(await RawClient.join(node, { token: reader.token, topics: [] }))),
  );
  const say = (what: string) => report.violations.push(`seed ${seed}, user ${reader.id}: ${what}`);
  /** The highest `up_to` so far. */
  let seen = 0;

  const list = () => good(() => anywhere().get<Listed>('/notifications?limit=100'));
  const read = async () => {
    await pause(random.between(0, ROUND));
    const shown = random.weighted({ list: 3, device: 3, earlier: 1 });
    const upTo =
      shown === 'list'
        ? (await list()).rev
        : shown === 'device'
          ? random.pick(devices).take(report, say)
          : random.below(seen + 1);
    await pause(random.between(0, ROUND));
    seen = Math.max(seen, upTo);
    await good(() => anywhere().put<NotificationState>('/notifications/read', { up_to: upTo }));
  };

  try {
    while (next()) {
      await Promise.all([read(), ...actors.map((actor) => actor.act(reader, posts))]);
      const { notifications, unread, rev } = await list();
      for (const one of notifications)
        if (one.read !== one.rev <= seen)
          say(`${one.kind} of rev ${one.rev} is ${one.read ? 'read' : 'unread'} after up_to ${seen}`);
      const later = notifications.filter((one) => one.rev > seen).length;
      if (later > 0) report.later += 1;
      if (unread !== later) say(`unread is ${unread}, and ${later} came later than ${seen}`);
      for (const device of devices) {
        await until('the state', () => device.take(report, say) >= rev, PATIENCE);
        // A vote is told a while later, so it may have come behind the list.
        if (device.rev === rev) for (const what of device.differences(notifications)) say(what);
      }
    }
  } finally {
    for (const device of devices) device.client.terminate();
  }
}

async function good<T>(ask: () => Promise<Answer<T>>): Promise<T> {
  const { status, body } = await patiently(ask);
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

/** Somebody who replies to the reader's posts, mentions the reader, votes, and takes all of it back. */
class Actor {
  readonly #user: TestUser;
  readonly #urls: readonly string[];
  readonly #random: Random;
  readonly #written: number[] = [];
  #voted = false;

  constructor(user: TestUser, urls: readonly string[], random: Random) {
    this.#user = user;
    this.#urls = urls;
    this.#random = random;
  }

  async act(reader: TestUser, posts: readonly number[]): Promise<void> {
    const random = this.#random;
    await pause(random.between(0, 2 * ROUND));
    const api = new Api(random.pick(this.#urls), this.#user.token);
    const act = random.weighted({ reply: 4, mention: 1, remove: 3, vote: 1, nothing: 2 });
    if (act === 'remove' || this.#written.length >= MOST_REPLIES) {
      const [id] = this.#written.splice(random.below(this.#written.length), 1);
      if (id !== undefined) await good(() => api.delete(`/posts/${id}`));
    } else if (act === 'reply') {
      const path = `/posts/${random.pick(posts)}/replies`;
      this.#written.push((await good(() => api.post<{ id: number }>(path, { content: 'Well' }))).id);
    } else if (act === 'mention') {
      const post = { title: 'A mention', content: `@${reader.username}` };
      this.#written.push((await good(() => api.post<{ id: number }>('/posts', post))).id);
    } else if (act === 'vote') {
      this.#voted = !this.#voted;
      await good(() => api.request(this.#voted ? 'PUT' : 'DELETE', `/posts/${posts[0]}/vote`));
    }
  }
}

/** What one device of the reader knows, by what it was told. */
class Device {
  readonly client: RawClient;
  rev = 0;
  readonly #known = new Map<number, { rev: number; read: boolean }>();

  constructor(client: RawClient) {
    this.client = client;
  }

  /** Takes what has come. Each change is followed by the number that is unread by then. @returns the newest `rev` */
  take(report: ReadsReport, say: (what: string) => void): number {
    for (const { name, args } of this.client.events.splice(0)) {
      const data = args[0] as NotificationView & NotificationState & { up_to: number };
      if (name === 'notification:added') this.#known.set(data.id, { rev: data.rev, read: data.read });
      else if (name === 'notification:removed') this.#known.delete(data.id);
      else if (name === 'notification:read') {
        for (const one of this.#known.values()) if (one.rev <= data.up_to) one.read = true;
      } else if (name === 'notifications:state') {
        report.states += 1;
        const unread = [...this.#known.values()].filter(({ read }) => !read).length;
        if (unread !== data.unread) say(`a device knows ${unread} unread, and is told ${data.unread}`);
        if (data.rev <= this.rev) say(`rev ${data.rev} comes behind ${this.rev}`);
        this.rev = data.rev;
      }
    }
    this.client.frames.length = 0;
    return this.rev;
  }

  differences(listed: readonly NotificationView[]): string[] {
    const word = ({ rev, read }: { rev: number; read: boolean }) => `rev ${rev}${read ? ', read' : ''}`;
    const wanted = new Map(listed.map((one) => [one.id, word(one)]));
    return [...new Set([...wanted.keys(), ...this.#known.keys()])].flatMap((id) => {
      const known = this.#known.get(id);
      const [here, there] = [known ? word(known) : 'nothing', wanted.get(id) ?? 'nothing'];
      return here === there ? [] : [`a device knows ${here} of ${id}, and the list says ${there}`];
    });
  }
}
