import { setTimeout as pause } from 'node:timers/promises';
import { isUnavailable, wantsRetry } from '../../server/database/connection.ts';
import { withModels } from '../../server/database/target.ts';
import { AppError } from '../../server/errors.ts';
import { grantRole } from '../../server/moderation/roles.ts';
import { Cluster, type ClusterOptions } from '../faults/cluster.ts';
import type { FaultName } from '../faults/faults.ts';
import { arrive } from '../faults/population.ts';
import { Random } from '../faults/random.ts';
import { Timeline } from '../faults/timeline.ts';
import { until } from '../support/waiting.ts';
import type { TestUser } from '../support/world.ts';
import { PollListener, StreamListener } from './http-listeners.ts';
import type { SessionEnd } from './accounts.ts';
import type { ModerationAct } from './moderators.ts';
import { type NotificationListPage, notificationListViolations } from './notification-lists.ts';
import { type LogRow, Oracle } from './oracle.ts';
import { type Page, PageRules, type View } from './pages.ts';
import { type BlockWrite, type Habits, People, TAGS } from './program.ts';
import { Reader } from './reader.ts';
import type { ModelListener, Story } from './record.ts';
import { type RelationListPage, relationListViolations } from './relation-lists.ts';
import type { Violation } from './rules.ts';
import { type ModelListenerOptions, SocketListener } from './socket-listener.ts';
import { StreamRules } from './streams.ts';

export interface ModelOptions {
  seed: number;
  seconds: number;
  cluster?: ClusterOptions;
  /** Writes in a second, of all people together. */
  rate?: number;
  /** How many people. Default: twenty. */
  users?: number;
  /** What they do more or less often than usual. */
  habits?: Partial<Habits>;
  /** People write for so long, then all comes to rest, and pages are read. Milliseconds. */
  round?: number;
  /** Looks at what was found when people have written, and again at rest; with enough of it the run ends. */
  isEnough?: (violations: readonly Violation[]) => boolean;
  /** Faults that are drawn from. Default: none. */
  faults?: readonly FaultName[];
}

export interface ModelReport {
  seed: number;
  violations: Violation[];
  /** What they were found in. */
  evidence: {
    log: readonly LogRow[];
    stories: readonly Story[];
    pages: readonly Page[];
    lists: readonly RelationListPage[];
    notifications: readonly NotificationListPage[];
    blocks: readonly BlockWrite[];
    acts: readonly ModerationAct[];
    ends: readonly SessionEnd[];
    /** What was inflicted, and what the nodes said. */
    said: readonly string[];
  };
  figures: {
    faults: number;
    events: number;
    acknowledged: number;
    /** What moderators have done. */
    acts: number;
    told: number;
    segments: number;
    answers: number;
    pages: number;
  };
}

/** What happens to nodes, Redis and connections in a run of the model. */
export const modelFaults = [
  'kill -9 of a node',
  'kill -9 after numbering, before publishing',
  'SIGTERM of a node',
  'Redis shut down',
  'CLIENT KILL in Redis',
  'messages of Redis lost, doubled and late',
  'slow roads',
  'a third of the client connections cut',
] as const satisfies readonly FaultName[];

const USERS = 20;
/** People beside them who delete their accounts, and others come. */
const GUESTS = 2;
const RATE = 40;
const ROUND = 4000;
/** How many times as long they may write. */
const PATIENCE = 6;
/**
 * Who has not come to the head by then, when nobody writes, never will: how fast it goes is for the fault harness to
 * judge. Milliseconds.
 */
const CONVERGED_WITHIN = 60_000;
/** For how long a listener does nothing but listen, at most. Milliseconds. */
const RESTS = 3000;
/** Between two pages that somebody reads, on average. Milliseconds. */
const READS_EVERY = 100;

const LOG = `select seq::float8 as seq, name, entity_type as "entityType", entity_id::float8 as "entityId", audience, topics, redaction, data,
  (extract(epoch from created_at) * 1000)::float8 as at, author_id::float8 as "authorId",
  container_type as "containerType", container_id::float8 as "containerId", erases_container as "erasesContainer", departure, relation
  from event_log order by seq`;

/** Lets people write, read and listen at random, and judges all that they were told by the log. */
export async function runModel(options: ModelOptions): Promise<ModelReport> {
  const cluster = await Cluster.start(options.cluster);
  const model = new Model(cluster, options);
  try {
    await model.settle();
    const { seconds, round = ROUND } = options;
    for (let left = seconds * 1000; left > 0; left -= round) {
      await model.live(Math.min(left, round));
      if (await model.hasFoundEnough()) break;
      await model.rest();
      if (await model.hasFoundEnough()) break;
    }
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
  readonly #timeline: Timeline;
  readonly #reader: Reader;
  readonly #listeners: ModelListener[] = [];
  /** Those that never change their one view. */
  readonly #steady: { view: View; user: TestUser; listener: ModelListener }[] = [];
  readonly #violations: Violation[] = [];
  /** What was inflicted, and when. */
  readonly #said: string[] = [];
  #people: People;

  constructor(cluster: Cluster, options: ModelOptions) {
    const { seed, faults = [] } = options;
    const say = (line: string) => this.#said.push(`${Date.now()} ${line}`);
    this.#cluster = cluster;
    this.#options = options;
    this.#random = new Random(seed);
    this.#timeline = new Timeline(cluster, undefined, this.#random.fork(), faults, say);
    const readers = this.#random.fork();
    this.#reader = new Reader(() => readers.pick(this.#urls()));
    this.#people = this.#peopleOf([]);
  }

  get #count(): number {
    return this.#options.users ?? USERS;
  }

  #urls(): string[] {
    return this.#cluster.reachable.map((node) => node.process.url);
  }

  #peopleOf(users: readonly TestUser[]): People {
    return new People(users, GUESTS, {
      urls: () => this.#urls(),
      random: this.#random.fork(),
      habits: this.#options.habits ?? {},
      grant: (user, role) => this.#grant(user, role),
      onRelating: (user, answer) => void this.#readAmid(user, answer),
      onArrival: (user) => void this.#join(SocketListener, user, `guest ${user.id}`),
    });
  }

  /** As `npm run admin -- grant` does it, again where the database had no time for it. Who has another name by now is not found. */
  async #grant({ username }: TestUser, role: 'user' | 'moderator' | 'admin'): Promise<void> {
    const { postgres, database } = this.#cluster;
    await until('a role to be granted', () =>
      withModels(postgres.url(database), (db) =>
        db.transaction((tx) => grantRole(tx, username, role, '')),
      ).then(
        () => true,
        (error: unknown) => {
          if (error instanceof AppError) return true;
          if (isUnavailable(error) || wantsRetry(error)) return false;
          throw error;
        },
      ),
    );
  }

  /** Whoever changes a relation looks at the home page meanwhile: before it is committed, numbered and answered. */
  async #readAmid(user: TestUser, answer: Promise<unknown>): Promise<void> {
    let isAnswered = false;
    void answer.then(() => (isAnswered = true));
    for (let reads = 0; !isAnswered && reads < 8; reads += 1) await this.#reader.page(user, 'home', false);
  }

  async settle(): Promise<void> {
    const { url } = this.#cluster.node(0).process;
    const arrived: TestUser[] = [];
    while (arrived.length < this.#count + GUESTS) arrived.push(await arrive(url));
    this.#people = this.#peopleOf(arrived);
    await this.#people.begin(3);
    const { users, firstThreads } = this.#people;
    const staying = users.slice(0, this.#count);
    for (const [at, user] of users.entries()) {
      this.#join(SocketListener, user, `socket ${at}`);
      if (at % 4 === 1) this.#join(StreamListener, user, `stream ${at}`);
      if (at % 4 === 3) this.#join(PollListener, user, `poll ${at}`);
    }
    const views: View[] = [
      'home',
      'home',
      'home',
      'feed',
      ...TAGS.slice(0, 2).map((tag): View => `tag:${tag}`),
    ];
    views.push(...firstThreads.map((id): View => `thread:${id}`));
    for (const [at, view] of views.entries()) {
      const whose = (at + 3) % staying.length;
      const user = staying[whose];
      if (!user) continue;
      const listener = this.#join(SocketListener, user, `${view} of ${whose}`, [view]);
      this.#steady.push({ view, user, listener });
    }
  }

  #join(
    Kind: new (options: ModelListenerOptions) => ModelListener,
    user: TestUser,
    name: string,
    steady?: readonly string[],
  ): ModelListener {
    const random = this.#random.fork();
    const topics = () => steady ?? this.#topics(random);
    const { url } = this.#cluster;
    const listener = new Kind({ name, user, random, topics, steady: steady !== undefined, url });
    this.#listeners.push(listener);
    listener.start();
    return listener;
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

  /** People write, listen and read while things break. */
  async live(milliseconds: number): Promise<void> {
    const began = Date.now();
    const { rate = RATE } = this.#options;
    const enough = this.#people.acknowledged + (rate * milliseconds) / 2000;
    // Where the machine is busy, longer: until half of the writes are done that were meant to be.
    const isOver = () => {
      const passed = Date.now() - began;
      return (
        passed >= milliseconds && (this.#people.acknowledged >= enough || passed >= PATIENCE * milliseconds)
      );
    };
    this.#people.start((1000 * this.#count) / rate);
    const ended = await Promise.allSettled([
      ...this.#listeners.map((listener) =>
        this.#stir(listener, isOver, this.#random.fork(), Math.min(RESTS, milliseconds)),
      ),
      this.#read(isOver, this.#random.fork()),
      ...(this.#options.faults ? [this.#timeline.play(milliseconds)] : []),
    ]);
    await this.#people.stop();
    await this.#people.accounts.recover(this.#people.users);
    for (const one of ended) if (one.status === 'rejected') throw one.reason;
  }

  /** All listeners come to the head, and pages are read that have what they were told. */
  async rest(): Promise<void> {
    await this.#converge();
    await this.#readAll();
  }

  async hasFoundEnough(): Promise<boolean> {
    const { isEnough } = this.#options;
    if (!isEnough) return false;
    // Nobody writes: with the last number the log is whole.
    await until('all events have a number', async () => (await this.#head()) !== undefined, CONVERGED_WITHIN);
    return isEnough((await this.judge()).violations);
  }

  async #stir(listener: ModelListener, isOver: () => boolean, random: Random, rests: number): Promise<void> {
    for (;;) {
      await pause(random.between(200, rests));
      if (isOver()) return;
      // What a session has that ended, the service has to end.
      if (listener.openedAt > this.#people.accounts.endOf(listener.story.userId)) await listener.stir();
    }
  }

  async #read(isOver: () => boolean, random: Random): Promise<void> {
    while (!isOver()) {
      await pause(random.between(0.2, 1.8) * READS_EVERY);
      const { user, view } = random.pick(this.#steady);
      const [tag, thread] = [random.pick(TAGS), random.pick(this.#people.threads)];
      const other = random.pick<View>(['home', 'feed', `tag:${tag}`, `thread:${thread}`]);
      await (random.chance(0.5)
        ? this.#reader.page(user, view, false)
        : this.#reader.page(random.pick(this.#people.users), other, false));
      if (random.chance(0.3)) await this.#reader.list(user, random.pick(['followers', 'following']), false);
      if (random.chance(0.3)) await this.#reader.notificationList(user, false);
    }
  }

  /** Nobody writes: what is read now is the end of all that was told. */
  async #readAll(): Promise<void> {
    for (const { user, view } of this.#steady) {
      await this.#reader.page(user, view, true);
      for (const list of ['followers', 'following'] as const) await this.#reader.list(user, list, true);
      await this.#reader.notificationList(user, true);
    }
    for (const user of this.#people.users) await this.#reader.page(user, 'home', true);
  }

  /** At rest, when nobody writes any more. */
  async judge(): Promise<ModelReport> {
    const log = await this.#cluster.query<LogRow>(LOG);
    const oracle = new Oracle(log);
    const stories = this.#listeners.map(({ story }) => story);
    const steady = this.#steady.map(({ view, listener }) => ({ view, story: listener.story }));
    const steadyStories = steady.map(({ story }) => story);
    const { pages, lists, notifications, faults } = this.#reader;
    const { accounts, blocks, moderation } = this.#people;
    const { ends, erased } = accounts;
    const process = [
      ...this.#cluster.nodes.flatMap((node) =>
        node.process.misconduct.map(({ what }) => `${node.process.name}: ${what}`),
      ),
      ...this.#people.faults,
      ...faults,
    ].map((what) => ({ rule: 'process' as const, what }));
    const segments = stories.flatMap((story) => story.segments);
    const inflicted = Object.values(this.#timeline.inflicted);
    return {
      seed: this.#options.seed,
      violations: [
        ...this.#violations,
        ...new StreamRules(oracle, { blocks, ends, erased, moderation }, stories).violations,
        ...new PageRules(oracle, pages, steady, erased).violations,
        ...relationListViolations(lists, steadyStories),
        ...notificationListViolations(notifications, steadyStories, oracle),
        ...moderation.violations(log, erased),
        ...accounts.violations,
        ...process,
      ],
      evidence: {
        log,
        stories,
        pages,
        lists,
        notifications,
        blocks,
        acts: moderation.acts,
        ends,
        said: [...this.#said, ...this.#cluster.nodes.flatMap((node) => node.process.output.split('\n'))],
      },
      figures: {
        faults: inflicted.reduce((sum, count) => sum + count, 0),
        events: log.length,
        acknowledged: this.#people.acknowledged,
        acts: moderation.acts.filter(({ isDone }) => isDone).length,
        told: segments.reduce((sum, { told }) => sum + told.filter(({ event }) => event).length, 0),
        segments: segments.length,
        answers: stories.reduce((sum, { answers }) => sum + answers.length, 0),
        pages: pages.length + lists.length + notifications.length,
      },
    };
  }

  /** The listeners of those who have a session. */
  get #present(): ModelListener[] {
    return this.#listeners.filter(({ story }) => !this.#people.accounts.isShutOut(story.userId));
  }

  async #converge(): Promise<void> {
    const began = Date.now();
    let head: number | undefined;
    while (Date.now() - began < CONVERGED_WITHIN) {
      const at = (head = await this.#head());
      if (at !== undefined && this.#present.every(({ position }) => position === at)) return;
      await pause(50);
    }
    for (const { story, position } of this.#present)
      if (position !== head)
        this.#violations.push({
          rule: 'behind',
          what: `${story.name} is at ${position ?? 0}, not at ${head ?? 0}`,
        });
  }

  /** The head, once nothing waits for a number, all that follows the end of an account is done, and everybody has been told of votes, without the pause before that. */
  async #head(): Promise<number | undefined> {
    const [row] = await this.#cluster
      .query(`update vote_notices set told_at = '-infinity' where pending`)
      .then(() => this.#cluster.query('select settle_notifications(100)'))
      .then(() =>
        this.#cluster.query<{ seq: number; waiting: number }>(
          `select seq::float8 as seq, ((select count(*) from event_outbox)
             + (select count(*) from vote_notices where pending) + (select count(*) from account_tasks)
             + (select count(*) from notification_removals))::float8 as waiting
           from feed_head`,
        ),
      )
      .catch(() => []);
    return row?.waiting === 0 ? row.seq : undefined;
  }

  async leave(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    await this.#people.stop();
  }
}
