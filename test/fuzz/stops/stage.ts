import { Agent, request } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../server/database/embedded/postmaster.ts';
import { migrate } from '../../../server/database/migrate.ts';
import { SECRET } from '../../faults/cluster.ts';
import { FaultyPostgres } from '../../faults/postgres.ts';
import { appendPosts } from '../../support/append-sql.ts';
import { NodeProcess } from '../../support/node-process.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { Stopwatch } from '../../support/waiting.ts';
import { Fairness } from './fairness.ts';
import type { Shape } from './plan.ts';

/** What is played on. */
export interface StageKind extends Shape {
  /** Of each node. */
  workers: number;
  /** Milliseconds. */
  shutdownDelay: number;
}

export const stageKinds = {
  alone: { nodes: 1, workers: 1, redis: false, shutdownDelay: 0 },
  delayed: { nodes: 1, workers: 1, redis: false, shutdownDelay: 600 },
  workers: { nodes: 1, workers: 2, redis: false, shutdownDelay: 300 },
  cluster: { nodes: 2, workers: 1, redis: true, shutdownDelay: 0 },
  'cluster of workers': { nodes: 2, workers: 2, redis: true, shutdownDelay: 0 },
} as const satisfies Record<string, StageKind>;
export type StageName = keyof typeof stageKinds;

/** More than a node keeps in memory: who comes from the first of them is handed pages out of the log. */
const HISTORY = 20_400;
const NUMBERED_AT_ONCE = 5000;
/** Between two questions of a bystander, and how long an answer may take on an idle machine. Milliseconds. */
const ASK_EVERY = 100;
const ANSWER_WITHIN = 1000;

/** A PostgreSQL server, and a database with a past that each stage gets a copy of. */
export class Ground {
  readonly postgres: FaultyPostgres;
  readonly #template: string;
  #copies = 0;

  private constructor(postgres: FaultyPostgres, template: string) {
    this.postgres = postgres;
    this.#template = template;
  }

  static async prepare(): Promise<Ground> {
    const postgres = await FaultyPostgres.start();
    const template = 'stops_template';
    await postgres.query('postgres', `create database ${template} template template0`);
    await migrate(postgres.url(template));
    await postgres.query(
      template,
      appendPosts(
        `select 'post:deleted', n, json_build_object('id', n) from generate_series(1, ${HISTORY}) n`,
      ),
    );
    for (let left = HISTORY; left > 0; left -= NUMBERED_AT_ONCE)
      await postgres.query(template, `select from number_events(${NUMBERED_AT_ONCE})`);
    return new Ground(postgres, template);
  }

  async copy(): Promise<string> {
    const name = `stops_${(this.#copies += 1)}`;
    await this.postgres.query('postgres', `create database ${name} template ${this.#template}`);
    return name;
  }

  drop(name: string): Promise<unknown> {
    return this.postgres.query('postgres', `drop database ${name} with (force)`);
  }

  stop(): Promise<void> {
    return this.postgres.stop();
  }
}

/** Nodes of the service with a database of their own, and bystanders who ask them all the time. */
export class Stage {
  readonly kind: StageKind;
  readonly nodes: readonly NodeProcess[];
  readonly databaseUrl: string;
  readonly redis: TestRedis | undefined;
  readonly fairness: Fairness;
  readonly violations: string[] = [];
  readonly #bystanders: Bystander[];
  readonly #close: () => Promise<void>;

  private constructor(
    parts: Pick<Stage, 'kind' | 'nodes' | 'databaseUrl' | 'redis'>,
    close: () => Promise<void>,
  ) {
    this.kind = parts.kind;
    this.nodes = parts.nodes;
    this.databaseUrl = parts.databaseUrl;
    this.redis = parts.redis;
    this.#close = close;
    this.fairness = new Fairness(() => this.nodes.filter(({ running }) => running).map(({ pid }) => pid));
    this.#bystanders = this.nodes.flatMap((node) =>
      Array.from({ length: this.kind.workers }, () => new Bystander(node, this.fairness, this.violations)),
    );
  }

  static async open(kind: StageKind, ground: Ground, tree?: string): Promise<Stage> {
    const database = await ground.copy();
    const databaseUrl = ground.postgres.url(database);
    const redis = kind.redis ? await startRedis() : undefined;
    const dataDir = await mkdtemp(join(tmpdir(), 'tidings-stops-'));
    const nodes: NodeProcess[] = [];
    for (let at = 1; at <= kind.nodes; at += 1)
      nodes.push(
        new NodeProcess({
          name: `node ${at}`,
          env: {
            NODE_ENV: 'test',
            PORT: String(await freePort()),
            DATABASE_URL: databaseUrl,
            DATABASE_POOL: '8',
            DATA_DIR: dataDir,
            JWT_SECRET: SECRET,
            ACCESS_TOKEN_TTL: '1d',
            RATE_LIMITS: 'off',
            BCRYPT_COST: '4',
            LOG_LEVEL: 'warn',
            WORKERS: String(kind.workers),
            SHUTDOWN_DELAY: `${kind.shutdownDelay}ms`,
            ...(redis ? { REDIS_URL: redis.url } : {}),
          },
          ...(tree === undefined ? {} : { tree }),
        }),
      );
    const close = async () => {
      await Promise.all(nodes.map((node) => node.kill()));
      await redis?.stop();
      await ground.drop(database);
      await rm(dataDir, { recursive: true, force: true });
    };
    try {
      await Promise.all(nodes.map((node) => node.start()));
    } catch (error) {
      await close();
      throw error;
    }
    return new Stage({ kind, nodes, databaseUrl, redis }, close);
  }

  node(at: number): NodeProcess {
    const node = this.nodes[at];
    if (!node) throw new Error(`there is no node ${at}`);
    return node;
  }

  /** Whether a node is so wrong that there is no use in continuing. */
  get isLost(): boolean {
    return this.violations.length > 0 || this.nodes.some(({ misconduct }) => misconduct.length > 0);
  }

  /** The nodes are being stopped: they may refuse connections from here on. */
  expectStop(node: NodeProcess): void {
    for (const bystander of this.#bystanders) if (bystander.node === node) bystander.mayRefuse = true;
  }

  async close(): Promise<void> {
    this.fairness.stop();
    for (const bystander of this.#bystanders) bystander.stop();
    await this.#close();
  }
}

/** Asks a node, over a connection that it keeps, whether it lives. */
class Bystander {
  readonly node: NodeProcess;
  mayRefuse = false;
  readonly #fairness: Fairness;
  readonly #violations: string[];
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #stopped = false;

  constructor(node: NodeProcess, fairness: Fairness, violations: string[]) {
    this.node = node;
    this.#fairness = fairness;
    this.#violations = violations;
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#agent.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#stopped && this.node.running) {
      const began = Date.now();
      const status = await this.#ask(began);
      if (this.#stopped || !this.node.running) return;
      if (status === 'silent') {
        this.#violations.push(`the event loop of ${this.node.name} was blocked: no answer of /healthz`);
        return;
      }
      if (status !== 200 && !this.mayRefuse)
        this.#violations.push(`${this.node.name} answered /healthz with ${status}`);
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY));
    }
  }

  #ask(began: number): Promise<number | 'silent'> {
    return new Promise((resolve) => {
      const { hostname, port } = new URL(this.node.url);
      const req = request({ hostname, port, path: '/healthz', agent: this.#agent }, (res) => {
        res.resume();
        res.once('close', () => done(res.statusCode ?? 0));
      });
      // By the end of its process a connection is closed, whatever its event loop does.
      const watch = new Stopwatch();
      let late = 0;
      const looking = setInterval(() => {
        // Seen late more than once: this process may have slept, and not have read yet what came meanwhile.
        if (watch.ran > ANSWER_WITHIN + this.#fairness.waited(began, Date.now())) late += 1;
        if (late > 3) done('silent');
      }, ASK_EVERY);
      const done = (status: number | 'silent') => {
        clearInterval(looking);
        resolve(status);
        if (status === 'silent') req.destroy();
      };
      req.on('error', () => done(0));
      req.end();
    });
  }
}
