import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type ClusterOptions } from '../faults/cluster.ts';
import { Random } from '../faults/random.ts';
import { signUp, type TestUser } from '../support/world.ts';
import { PollListener, StreamListener } from './http-listeners.ts';
import { type LogRow, Oracle } from './oracle.ts';
import { People, TAGS } from './program.ts';
import type { ModelListener } from './record.ts';
import type { Violation } from './rules.ts';
import { type ModelListenerOptions, SocketListener } from './socket-listener.ts';
import { StreamRules } from './streams.ts';

export interface ModelOptions {
  seed: number;
  seconds: number;
  cluster?: ClusterOptions;
  users?: number;
  /** Writes in a second, of all people together. */
  rate?: number;
}

export interface ModelReport {
  seed: number;
  violations: Violation[];
  figures: { events: number; acknowledged: number; told: number; segments: number; answers: number };
}

const USERS = 20;
const RATE = 40;
/** In which all have to come to the head when nobody writes. Milliseconds. */
const CONVERGED_WITHIN = 15_000;

const LOG = `select seq::float8 as seq, name, entity_id::float8 as "entityId", audience, topics, redaction, data,
  (extract(epoch from created_at) * 1000)::float8 as at, author_id::float8 as "authorId",
  container_id::float8 as "containerId", erases_container as "erasesContainer", departure, relation
  from event_log order by seq`;

/** Lets people write, read and listen at random, and judges all that they were told by the log. */
export async function runModel(options: ModelOptions): Promise<ModelReport> {
  const cluster = await Cluster.start(options.cluster);
  const model = new Model(cluster, options);
  try {
    await model.settle();
    await model.live(options.seconds * 1000);
    return await model.judge();
  } finally {
    await model.leave();
    await cluster.stop();
  }
}

class Model {
  readonly #cluster: Cluster;
  readonly #options: ModelOptions;
  readonly #random: Random;
  readonly #listeners: ModelListener[] = [];
  readonly #violations: Violation[] = [];
  #people: People;

  constructor(cluster: Cluster, options: ModelOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#people = new People([], () => [], this.#random);
  }

  async settle(): Promise<void> {
    const { url } = this.#cluster.node(0).process;
    const users = await Promise.all(
      Array.from({ length: this.#options.users ?? USERS }, (_, at) => signUp(url, `person${at + 1}`)),
    );
    const urls = () => this.#cluster.reachable.map((node) => node.process.url);
    this.#people = new People(users, urls, this.#random.fork());
    for (const [at, user] of users.entries()) {
      this.#join(SocketListener, user, `socket ${at}`);
      if (at % 4 === 1) this.#join(StreamListener, user, `stream ${at}`);
      if (at % 4 === 3) this.#join(PollListener, user, `poll ${at}`);
    }
  }

  #join(
    Kind: new (options: ModelListenerOptions) => ModelListener,
    user: TestUser,
    name: string,
    steady?: readonly string[],
  ): void {
    const random = this.#random.fork();
    const topics = () => steady ?? this.#topics(random);
    const listener = new Kind({
      name,
      user,
      random,
      topics,
      steady: steady !== undefined,
      url: this.#cluster.url,
    });
    this.#listeners.push(listener);
    listener.start();
  }

  /** Some topics at random; now and then everything public. */
  #topics(random: Random): readonly string[] | undefined {
    const { users, threads } = this.#people;
    const draw = () =>
      ({
        feed: () => 'feed',
        home: () => 'home',
        author: () => `author:${random.pick(users).id}`,
        thread: () => `thread:${threads.at(-1 - random.below(15)) ?? 1}`,
        tag: () => `tag:${random.pick(TAGS)}`,
      })[random.weighted({ feed: 1, home: 4, author: 4, thread: 4, tag: 3 })]();
    if (random.chance(0.15)) return undefined;
    return [...new Set(Array.from({ length: 1 + random.below(3) }, draw))];
  }

  async live(milliseconds: number): Promise<void> {
    const until = Date.now() + milliseconds;
    const { rate = RATE, users = USERS } = this.#options;
    this.#people.start((1000 * users) / rate);
    await Promise.all(this.#listeners.map((listener) => this.#stir(listener, until, this.#random.fork())));
    await this.#people.stop();
  }

  async #stir(listener: ModelListener, until: number, random: Random): Promise<void> {
    for (;;) {
      await pause(random.between(200, 3000));
      if (Date.now() >= until) return;
      await listener.stir();
    }
  }

  /** At rest, when nobody writes any more. */
  async judge(): Promise<ModelReport> {
    await this.#converge();
    const log = await this.#cluster.query<LogRow>(LOG);
    const oracle = new Oracle(log);
    const stories = this.#listeners.map(({ story }) => story);
    const { violations } = new StreamRules(oracle, this.#people.blocks, stories);
    const process = [
      ...this.#cluster.nodes.flatMap((node) =>
        node.process.misconduct.map(({ what }) => `${node.process.name}: ${what}`),
      ),
      ...this.#people.faults,
    ].map((what) => ({ rule: 'process' as const, what }));
    const segments = stories.flatMap((story) => story.segments);
    return {
      seed: this.#options.seed,
      violations: [...this.#violations, ...violations, ...process],
      figures: {
        events: log.length,
        acknowledged: this.#people.acknowledged,
        told: segments.reduce((sum, { told }) => sum + told.filter(({ event }) => event).length, 0),
        segments: segments.length,
        answers: stories.reduce((sum, { answers }) => sum + answers.length, 0),
      },
    };
  }

  async #converge(): Promise<void> {
    const began = Date.now();
    let head: number | undefined;
    while (Date.now() - began < CONVERGED_WITHIN) {
      head = await this.#head();
      const at = head;
      if (at !== undefined && this.#listeners.every(({ position }) => position === at)) return;
      await pause(50);
    }
    for (const { story, position } of this.#listeners)
      if (position !== head)
        this.#violations.push({
          rule: 'behind',
          what: `${story.name} is at ${position ?? 0}, not at ${head ?? 0}`,
        });
  }

  /** The head, once nothing waits for a number. */
  async #head(): Promise<number | undefined> {
    const [row] = await this.#cluster
      .query<{ seq: number; waiting: number }>(
        'select seq::float8 as seq, (select count(*)::float8 from event_outbox) as waiting from feed_head',
      )
      .catch(() => []);
    return row?.waiting === 0 ? row.seq : undefined;
  }

  async leave(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    await this.#people.stop();
  }
}
