import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { killAt, type Moment } from './aims.ts';
import type { Cluster, ClusterNode } from './cluster.ts';
import { mangler } from './mangle.ts';
import type { Population } from './population.ts';
import type { Random } from './random.ts';

export interface Scene {
  cluster: Cluster;
  people: Population;
  random: Random;
}

/** Where a fault is inflicted. Others than these people may live there: then what is done to people is not done. */
type FaultScene = Omit<Scene, 'people'> & { people: Population | undefined };

/** What a fault takes hold of; two that want the same thing do not happen at once. */
export type Resource = `node ${number}` | 'redis' | 'postgres' | 'front';

/** How long all may take to converge after a fault of this kind is healed (rule 9). Milliseconds. */
export const CONVERGED_WITHIN = 5000;
export const CONVERGED_AFTER_FREEZE = 15_000;

export interface Fault {
  /** How often it is drawn, against the others. */
  weight: number;
  /** @param nodes how many there are */
  needs: (random: Random, nodes: number) => Resource[];
  /** Resolves when it is healed: what was killed has been started and is ready. */
  inflict: (scene: FaultScene, needs: Resource[]) => Promise<void>;
  /** Leaves a node behind that has been frozen. */
  freezes?: boolean;
}

const someNode = (random: Random, nodes: number): Resource[] => [`node ${random.below(nodes)}`];
const allNodes = (_random: Random, nodes: number): Resource[] =>
  Array.from({ length: nodes }, (_, at): Resource => `node ${at}`);
const redis = (): Resource[] => ['redis'];
const postgres = (): Resource[] => ['postgres'];

export const faults = {
  'kill -9 of a node': {
    weight: 6,
    needs: someNode,
    inflict: async ({ cluster, random }, needs) => {
      const node = nodeOf(cluster, needs);
      await node.process.kill();
      await pause(random.between(100, 1500));
      await revive(node);
    },
  },
  'kill -9 before the commit': aimed('before-commit'),
  'kill -9 after the commit, before the answer': aimed('after-commit'),
  'kill -9 after numbering, before publishing': aimed('after-numbering'),
  'kill -9 after publishing, before emitting': aimed('before-emitting'),
  'kill -9 amid a replay': {
    weight: 2,
    needs: someNode,
    inflict: async ({ cluster, people }, needs) => {
      const node = nodeOf(cluster, needs);
      const epoch = people?.clients.find((client) => client.epoch !== undefined)?.epoch;
      if (!people || epoch === undefined) return;
      cluster.preferred = node;
      const late = people.join({ after: 0, epoch });
      for (let waited = 0; late.history.deliveries.length === 0 && waited < 2000; waited += 5) await pause(5);
      await node.process.kill();
      cluster.preferred = undefined;
      await revive(node);
    },
  },
  'kill -9 of all nodes': {
    weight: 1,
    needs: allNodes,
    inflict: async ({ cluster }) => {
      await Promise.all(cluster.nodes.map((node) => node.process.kill()));
      await Promise.all(cluster.nodes.map(revive));
    },
  },
  'SIGSTOP of a node': {
    weight: 3,
    needs: someNode,
    freezes: true,
    inflict: async ({ cluster, random }, needs) => {
      const node = nodeOf(cluster, needs);
      node.process.freeze();
      await pause(random.chance(0.5) ? 8000 : random.between(500, 3000));
      node.process.thaw();
    },
  },
  'SIGTERM of a node': {
    weight: 3,
    needs: someNode,
    inflict: async ({ cluster }, needs) => {
      const node = nodeOf(cluster, needs);
      await node.process.stop();
      await revive(node);
    },
  },
  'Redis shut down': {
    weight: 2,
    needs: redis,
    inflict: async ({ cluster, random }) => {
      await cluster.redis?.kill('SIGTERM');
      await pause(random.between(1000, 6000));
      await cluster.redis?.restart();
    },
  },
  'Redis stopped': {
    weight: 2,
    needs: redis,
    inflict: async ({ cluster, random }) => {
      await cluster.redis?.kill('SIGSTOP');
      await pause(random.between(1000, 5000));
      await cluster.redis?.kill('SIGCONT');
    },
  },
  'CLIENT KILL in Redis': {
    weight: 2,
    needs: redis,
    inflict: ({ cluster }) => commandRedis(cluster, ['CLIENT', 'KILL', 'SKIPME', 'yes']),
  },
  'FLUSHALL in Redis': {
    weight: 1,
    needs: redis,
    inflict: ({ cluster }) => commandRedis(cluster, ['FLUSHALL']),
  },
  'messages of Redis lost, doubled and late': {
    weight: 4,
    needs: redis,
    inflict: async ({ cluster, random }) => {
      const manglers = cluster.nodes.map((node) => {
        const { tap, calm } = mangler(random.fork());
        node.toRedis.tap = tap;
        return calm;
      });
      await pause(random.between(2000, 6000));
      for (const calm of manglers) calm();
    },
  },
  'PostgreSQL restarted at once': {
    weight: 3,
    needs: postgres,
    inflict: async ({ cluster }) => {
      await cluster.postgres.down();
      await cluster.postgres.up();
    },
  },
  'kill -9 of PostgreSQL': {
    weight: 2,
    needs: postgres,
    inflict: async ({ cluster }) => {
      await cluster.postgres.crash();
      await cluster.postgres.up();
    },
  },
  'PostgreSQL away': {
    weight: 2,
    needs: postgres,
    inflict: async ({ cluster, random }) => {
      await cluster.postgres.down();
      await pause(random.between(1000, 6000));
      await cluster.postgres.up();
    },
  },
  'a backend of PostgreSQL terminated': {
    weight: 3,
    needs: postgres,
    inflict: async ({ cluster }) => {
      await cluster.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() order by random() limit 1`);
    },
  },
  'all backends of PostgreSQL terminated': {
    weight: 2,
    needs: postgres,
    inflict: async ({ cluster }) => {
      await cluster.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`);
    },
  },
  "a node's road to PostgreSQL half-open": {
    weight: 2,
    needs: someNode,
    inflict: async ({ cluster, random }, needs) => {
      const { toPostgres } = nodeOf(cluster, needs);
      toPostgres.swallow(...random.pick([['toServer'], ['toClient'], ['toServer', 'toClient']] as const));
      await pause(HALF_OPEN);
      toPostgres.release();
    },
  },
  "a node's road to Redis half-open": {
    weight: 2,
    needs: someNode,
    inflict: async ({ cluster, random }, needs) => {
      const { toRedis } = nodeOf(cluster, needs);
      toRedis.swallow(...random.pick([['toServer'], ['toClient'], ['toServer', 'toClient']] as const));
      await pause(HALF_OPEN);
      toRedis.release();
    },
  },
  "a node's road to PostgreSQL cut": {
    weight: 2,
    needs: someNode,
    inflict: async ({ cluster, random }, needs) => {
      const { toPostgres } = nodeOf(cluster, needs);
      toPostgres.refusing = random.chance(0.5);
      toPostgres.cut();
      await pause(random.between(200, 3000));
      toPostgres.refusing = false;
    },
  },
  'slow roads': {
    weight: 3,
    needs: someNode,
    inflict: async ({ cluster, random }, needs) => {
      const { toPostgres, toRedis } = nodeOf(cluster, needs);
      const slow = { toServer: () => random.between(0, 30), toClient: () => random.between(0, 30) };
      const before = toPostgres.delay;
      toPostgres.delay = slow;
      toRedis.delay = slow;
      await pause(random.between(2000, 5000));
      toPostgres.delay = before;
      toRedis.delay = before;
    },
  },
  'a third of the client connections cut': {
    weight: 4,
    needs: () => ['front'],
    inflict: ({ cluster, random }) => {
      cluster.front.cut(() => random.chance(0.33));
      return Promise.resolve();
    },
  },
  'all client connections cut': {
    weight: 2,
    needs: () => ['front'],
    inflict: ({ cluster }) => {
      cluster.front.cut();
      return Promise.resolve();
    },
  },
  'client connections half-open': {
    weight: 2,
    needs: () => ['front'],
    inflict: async ({ cluster }) => {
      cluster.front.swallow('toClient');
      await pause(HALF_OPEN);
      cluster.front.release();
    },
  },
  'PostgreSQL, Redis and a node together': {
    weight: 1,
    needs: (random, nodes) => ['postgres', 'redis', ...someNode(random, nodes)],
    inflict: async ({ cluster }, needs) => {
      const node = nodeOf(cluster, needs);
      await Promise.all([cluster.postgres.crash(), cluster.redis?.kill(), node.process.kill()]);
      await Promise.all([cluster.postgres.up(), cluster.redis?.restart()]);
      await revive(node);
    },
  },
  'a session ended': {
    weight: 3,
    needs: () => [],
    inflict: async ({ people }) => {
      await people?.mortal();
    },
  },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

/** How often a node is started before something must be wrong with it. */
const REVIVALS = 20;

/** How long a road stays half-open; it has to be found out within 6 s. Milliseconds. */
const HALF_OPEN = 7000;

function aimed(moment: Moment): Fault {
  return {
    weight: 2,
    // It looks into the node's road to Redis or to PostgreSQL, as other faults may.
    needs: (random, nodes) => [...someNode(random, nodes), 'redis'],
    inflict: async ({ cluster }, needs) => {
      const node = nodeOf(cluster, needs);
      if ((await killAt(node, moment, 5000)) !== undefined) await revive(node);
    },
  };
}

/** Starts a node as a supervisor does: again, if it found no database, which is another fault's doing. */
export async function revive(node: ClusterNode): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await node.process.start();
      return;
    } catch (error) {
      if (attempt === REVIVALS) throw error;
      await pause(500);
    }
  }
}

function nodeOf(cluster: Cluster, needs: Resource[]): ClusterNode {
  const resource = needs.find((need) => need.startsWith('node'));
  return cluster.node(Number(resource?.slice('node '.length)));
}

async function commandRedis(cluster: Cluster, [command = '', ...args]: string[]): Promise<void> {
  if (!cluster.redis) return;
  const client = new Redis(cluster.redis.url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => undefined);
  await client.connect();
  await client.call(command, ...args);
  client.disconnect();
}
