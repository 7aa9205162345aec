import { withDeadline } from '../../client/src/deadline.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../server/database/embedded/postmaster.ts';
import { heldWire } from '../support/held-wire.ts';
import { NodeProcess } from '../support/node-process.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { FaultyPostgres } from './postgres.ts';

/** What signs the tokens of every cluster here; the harness makes short-lived tokens with it. */
export const SECRET = 'a secret of the fault harness that all of its nodes know';

export interface ClusterNode {
  process: NodeProcess;
  /** Its own road to PostgreSQL and to Redis: cutting one is this node's fault alone. */
  toPostgres: TcpProxy;
  toRedis: TcpProxy;
}

export interface ClusterOptions {
  nodes?: number;
  /** Without it the nodes share nothing but the database. */
  redis?: boolean;
  /** Whether Redis runs when the nodes start. Default: yes. */
  redisAtStart?: boolean;
  /** A server that already runs; a new database is made on it, and it is left running. */
  postgres?: FaultyPostgres;
  /** A database on it that the new one is a copy of. Default: an empty one. */
  template?: string;
  /** A compiled tree to run. Default: the sources of this one. */
  tree?: string;
  /** No proxies on the nodes' roads: they run in the harness, and where it is busy all day a node would wait for it. */
  direct?: boolean;
  env?: Record<string, string>;
}

/** Real PostgreSQL, real Redis, and nodes of the service as processes, with a proxy on every road between them. */
export class Cluster {
  readonly postgres: FaultyPostgres;
  readonly redis: TestRedis | undefined;
  readonly nodes: ClusterNode[];
  readonly database: string;
  /** One address for all nodes, as a load balancer gives. */
  readonly front: TcpProxy;
  /** Where the front sends the next connections to, if it can. */
  preferred: ClusterNode | undefined;
  readonly #health: HealthChecks;
  readonly #close: () => Promise<void>;
  /** Whoever waits for something asks often, and to connect takes ten times as long as an answer. Undefined while it is down. */
  #client: Promise<pg.Client> | undefined;

  private constructor(
    parts: Pick<Cluster, 'postgres' | 'redis' | 'nodes' | 'database' | 'front'> & { health: HealthChecks },
    close: () => Promise<void>,
  ) {
    this.postgres = parts.postgres;
    this.redis = parts.redis;
    this.nodes = parts.nodes;
    this.database = parts.database;
    this.front = parts.front;
    this.#health = parts.health;
    this.#close = close;
  }

  /** Starts everything and waits until all nodes are ready. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const postgres = options.postgres ?? (await FaultyPostgres.start());
    const redis = options.redis === false ? undefined : await startRedis();
    if (options.redisAtStart === false) await redis?.kill();
    const database = `faults_${process.pid}_${(serial += 1)}`;
    await postgres.query(
      'postgres',
      `create database ${database} template ${options.template ?? 'template0'}`,
    );
    const dataDir = await mkdtemp(join(tmpdir(), 'tidings-faults-'));
    const nodes: ClusterNode[] = [];
    for (let at = 1; at <= (options.nodes ?? 3); at += 1)
      nodes.push(await prepareNode(at, { postgres, redis, database, dataDir, options }));
    const health = new HealthChecks(nodes);
    let turn = 0;
    const front = await TcpProxy.start({
      targets: () => {
        turn += 1;
        const { preferred } = cluster;
        const reachable = preferred ? [preferred, ...health.passing] : health.passing;
        if (preferred) turn = reachable.length;
        return reachable.map((_, at) => portOf(reachable[(at + turn) % reachable.length]?.process.url ?? ''));
      },
    });
    front.tap = heldWire();
    const cluster: Cluster = new Cluster({ postgres, redis, nodes, database, front, health }, async () => {
      health.stop();
      await Promise.all(nodes.map((node) => node.process.kill()));
      await Promise.all(nodes.flatMap((node) => [node.toPostgres.stop(), node.toRedis.stop()]));
      await front.stop();
      await redis?.stop();
      if (options.postgres) await postgres.query('postgres', `drop database ${database} with (force)`);
      else await postgres.stop();
      await rm(dataDir, { recursive: true, force: true });
    });
    try {
      // The first migrates, so that the others find it done.
      await nodes[0]?.process.start();
      await Promise.all(nodes.slice(1).map((node) => node.process.start()));
      health.start();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** The nodes that the front sends to: those that have answered recently, or all if none has. */
  get reachable(): ClusterNode[] {
    return this.#health.passing;
  }

  /** The address of the front. */
  get url(): string {
    return `http://127.0.0.1:${this.front.port}`;
  }

  node(at: number): ClusterNode {
    const node = this.nodes[at];
    if (!node) throw new Error(`there is no node ${at}`);
    return node;
  }

  /** One statement on its database, past all proxies. */
  async query<R extends object>(sql: string, values: unknown[] = []): Promise<R[]> {
    const client = await (this.#client ??= this.#connect());
    return (await client.query<R & Record<string, unknown>>(sql, values)).rows;
  }

  #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.postgres.url(this.database),
      connectionTimeoutMillis: 5000,
    });
    const connected = client.connect().then(() => client);
    const forget = () => {
      if (this.#client === connected) this.#client = undefined;
    };
    client.on('error', forget).on('end', forget);
    connected.catch(forget);
    return connected;
  }

  /** Ends all of it, however it stands. */
  async stop(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    await client?.end();
    await this.#close();
  }
}

let serial = 0;

interface NodeSettings {
  postgres: FaultyPostgres;
  redis: TestRedis | undefined;
  database: string;
  dataDir: string;
  options: ClusterOptions;
}

async function prepareNode(at: number, around: NodeSettings): Promise<ClusterNode> {
  const { postgres, redis, database, dataDir, options } = around;
  const toPostgres = await TcpProxy.start({ targets: () => [postgres.port] });
  const toRedis = await TcpProxy.start({ targets: () => (redis ? [redis.port] : []) });
  const env = {
    NODE_ENV: 'test',
    PORT: String(await freePort()),
    DATABASE_URL: postgres.url(database, options.direct ? postgres.port : toPostgres.port),
    DATABASE_POOL: '8',
    DATA_DIR: dataDir,
    JWT_SECRET: SECRET,
    ACCESS_TOKEN_TTL: '1d',
    RATE_LIMITS: 'off',
    BCRYPT_COST: '4',
    LOG_LEVEL: 'warn',
    // A node with as few sockets as here writes to all of them at a stretch; these let something come between any two.
    ...(at > 1 ? { WRITE_TIME_SLICE: '0ms' } : {}),
    ...(redis ? { REDIS_URL: `redis://127.0.0.1:${options.direct ? redis.port : toRedis.port}` } : {}),
    ...options.env,
  };
  const tree = options.tree === undefined ? {} : { tree: options.tree };
  return { process: new NodeProcess({ name: `node ${at}`, env, ...tree }), toPostgres, toRedis };
}

export function portOf(url: string): number {
  return Number(new URL(url).port);
}

/** Milliseconds between two looks, and for how long an answer is waited for. */
const LOOK_EVERY = 500;
const LOOK_TIME_LIMIT = 1000;

/** What a load balancer does to find out about a frozen node, which accepts connections and never answers. */
class HealthChecks {
  readonly #nodes: readonly ClusterNode[];
  readonly #failing = new Set<ClusterNode>();
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(nodes: readonly ClusterNode[]) {
    this.#nodes = nodes;
  }

  get passing(): ClusterNode[] {
    const passing = this.#nodes.filter((node) => !this.#failing.has(node));
    return passing.length > 0 ? passing : [...this.#nodes];
  }

  start(): void {
    for (const node of this.#nodes) this.#timers.push(setInterval(() => void this.#look(node), LOOK_EVERY));
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #look(node: ClusterNode): Promise<void> {
    try {
      await withDeadline(LOOK_TIME_LIMIT, undefined, (signal) =>
        fetch(`${node.process.url}/healthz`, { signal }),
      );
      this.#failing.delete(node);
    } catch {
      this.#failing.add(node);
    }
  }
}
