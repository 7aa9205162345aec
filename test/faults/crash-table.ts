import { setTimeout as pause } from 'node:timers/promises';
import { atMoment, killAt, type Moment } from './aims.ts';
import { check } from './checker.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { collect, converge } from './collect.ts';
import { CONVERGED_AFTER_FREEZE, CONVERGED_WITHIN, faults, revive, type Scene } from './faults.ts';
import { Population } from './population.ts';
import { until } from '../support/waiting.ts';
import type { Listener } from './listener.ts';
import { Random } from './random.ts';
import { isSocket, type Longest, Window } from './window.ts';

/** One figure of one fault, beside its bound. */
export interface Figure {
  fault: string;
  what: string;
  seen: number;
  /** At most. */
  bound: number;
  /** The client whose figure it is. */
  who?: string;
}

/** Makes one fault on a cluster under load, and measures. */
type Row = (scene: Scene) => Promise<Omit<Figure, 'fault'>[]>;

const MIB = 1024 * 1024;
/** How long a road stays half-open. Milliseconds. */
const HALF_OPEN = 9000;

const figureOf = (what: string, { took, who }: Longest, bound: number) => ({ what, seen: took, who, bound });

/** @param kill returns when it was done */
const killed =
  (kill: (scene: Scene) => Promise<number>): Row =>
  async (scene) => {
    const began = await kill(scene);
    await pause(5000);
    const after = new Window(scene.people, began, began + 5000);
    const figures = [
      figureOf('others hear nothing, ms', after.silence(after.undisturbed), 1000),
      figureOf('others wait for an event of their topics, ms', after.wait(after.undisturbed), 1000),
      figureOf('its clients have resumed, ms', after.resumed, 5000),
    ];
    const dead = scene.cluster.nodes.filter((node) => !node.process.running);
    await Promise.all(dead.map(revive));
    return figures;
  };

const killedAt = (moment: Moment): Row =>
  killed(async ({ cluster, random }) => {
    const at = await killAt(cluster.node(random.below(3)), moment, 20_000);
    if (at === undefined) throw new Error(`the moment "${moment}" never came`);
    return at;
  });

/** Redis does something: nobody may notice but by a little delay. */
const redisFault =
  (fault: (scene: Scene) => Promise<void>, atLeast = 0): Row =>
  async (scene) => {
    const { cluster, people } = scene;
    const memory = await memoryOf(cluster);
    const began = Date.now();
    await Promise.all([fault(scene), pause(atLeast)]);
    const during = new Window(people, began, Date.now());
    const { latency } = during;
    return [
      {
        what: 'clients disconnected',
        seen: during.cutOff.length,
        who: during.cutOff.map(({ client }) => client).join(', '),
        bound: 0,
      },
      figureOf('p99 from answer to delivery, ms', latency, 1500),
      { what: 'memory of a node grows, MiB', seen: growth(memory, await memoryOf(cluster)), bound: 32 },
    ];
  };

async function redisAway({ cluster }: Scene, milliseconds: number): Promise<void> {
  await cluster.redis?.kill('SIGTERM');
  await pause(milliseconds);
  await cluster.redis?.restart();
}

/** PostgreSQL does something: writes are refused for a while, and everything comes back by itself. */
const postgresFault =
  (fault: (scene: Scene) => Promise<void>): Row =>
  async (scene) => {
    const { people } = scene;
    const began = Date.now();
    await fault(scene);
    const back = Date.now();
    const firstWrite = await waitFor(
      () =>
        people.recorder.writes.at(-1)?.outcome === 'ok' && (people.recorder.writes.at(-1)?.end ?? 0) >= back,
    );
    await pause(1500);
    const during = new Window(people, began, Date.now());
    return [
      { what: 'first write after it is back, ms', seen: firstWrite - back, bound: 3000 },
      // Of the others, a stream is given up by its client when nobody can write, and a long-poll reads.
      { what: 'sockets disconnected', seen: during.disturbed.filter(isSocket).length, bound: 0 },
      { what: 'answers 503 without Retry-After', seen: people.recorder.hintless, bound: 0 },
      { what: 'answers 500', seen: during.writes.filter(({ status }) => status === 500).length, bound: 0 },
    ];
  };

const halfOpen =
  (road: 'toPostgres' | 'toRedis'): Row =>
  async ({ cluster, people }) => {
    const node = cluster.node(0);
    const began = Date.now();
    // Whose requests go there has to wait; what is measured is what the clients hear of the others' writes.
    if (road === 'toPostgres') people.shun(node.process.url);
    node[road].swallow('toServer', 'toClient');
    const figure = await silenceSince(began, people);
    node[road].release();
    return [figure];
  };

/** The worst moment: what it has numbered nobody knows of, and its own log is out of reach. */
const halfOpenAfterNumbering: Row = async ({ cluster, people }) => {
  const node = cluster.node(0);
  const began = await atMoment(node, 'after-numbering', 20_000, () => {
    people.shun(node.process.url);
    node.toPostgres.swallow('toServer', 'toClient');
    return Buffer.alloc(0);
  });
  if (began === undefined) throw new Error('node 1 numbered nothing');
  const figure = await silenceSince(began, people);
  node.toPostgres.release();
  return [figure];
};

async function silenceSince(began: number, people: Population): Promise<Omit<Figure, 'fault'>> {
  await pause(HALF_OPEN);
  const during = new Window(people, began, Date.now());
  people.shun(undefined);
  return figureOf(
    'clients hear nothing, ms',
    // The others have to ask the node, and wait as a writer would.
    during.silence(during.listening),
    6000,
  );
}

/** To the clients: each has to find out by itself that nobody is there any more. */
const halfOpenFront: Row = async ({ cluster, people }) => {
  const began = Date.now();
  cluster.front.swallow('toClient');
  await pause(HALF_OPEN);
  const { left, undisturbed } = new Window(people, began, Date.now());
  cluster.front.release();
  return [
    figureOf('clients have left it, ms', left, 6000),
    { what: 'clients that have not left it', seen: undisturbed.length, bound: 0 },
  ];
};

const rows: Record<string, Row> = {
  'node kill -9 at random': killed(async ({ cluster, random }) => {
    const at = Date.now();
    await cluster.node(random.below(3)).process.kill();
    return at;
  }),
  'node kill -9 before the commit': killedAt('before-commit'),
  'node kill -9 after the commit, before the answer': killedAt('after-commit'),
  'node kill -9 after numbering, before publishing': killedAt('after-numbering'),
  'node kill -9 after publishing, before emitting': killedAt('before-emitting'),
  'node kill -9 amid a replay': async (scene) => {
    await faults['kill -9 amid a replay'].inflict(scene, ['node 1']);
    return [];
  },
  'SIGSTOP 8 s': async ({ cluster, people, random }) => {
    const { process } = cluster.node(random.below(3));
    // What is measured is delivery on the others, so nobody's writes may hang on this one.
    const began = Date.now();
    people.shun(process.url);
    process.freeze();
    await pause(8000);
    const during = new Window(people, began, Date.now());
    process.thaw();
    people.shun(undefined);
    return [
      figureOf('others hear nothing, ms', during.silence(during.undisturbed), 500),
      figureOf('others wait for an event of their topics, ms', during.wait(during.undisturbed), 500),
      figureOf('its clients have left it, ms', during.left, 6000),
    ];
  },
  'all nodes kill -9': async ({ cluster }) => {
    await Promise.all(cluster.nodes.map((node) => node.process.kill()));
    const began = Date.now();
    await Promise.all(cluster.nodes.map((node) => node.process.start()));
    return [{ what: 'ready again, ms', seen: Date.now() - began, bound: 5000 }];
  },
  'Redis shut down 6 s': redisFault((scene) => redisAway(scene, 6000)),
  'Redis shut down 120 s': redisFault((scene) => redisAway(scene, 120_000)),
  'Redis stopped 5 s': redisFault(async ({ cluster }) => {
    await cluster.redis?.kill('SIGSTOP');
    await pause(5000);
    await cluster.redis?.kill('SIGCONT');
  }),
  'Redis CLIENT KILL': redisFault((scene) => faults['CLIENT KILL in Redis'].inflict(scene), 3000),
  'Redis FLUSHALL': redisFault((scene) => faults['FLUSHALL in Redis'].inflict(scene), 3000),
  'Redis loses, doubles and reorders': redisFault(
    (scene) => faults['messages of Redis lost, doubled and late'].inflict(scene),
    4000,
  ),
  'PostgreSQL restart -m immediate': postgresFault((scene) =>
    faults['PostgreSQL restarted at once'].inflict(scene),
  ),
  'PostgreSQL kill -9': postgresFault((scene) => faults['kill -9 of PostgreSQL'].inflict(scene)),
  'PostgreSQL: one backend terminated': postgresFault((scene) =>
    faults['a backend of PostgreSQL terminated'].inflict(scene),
  ),
  'PostgreSQL: all terminated': postgresFault((scene) =>
    faults['all backends of PostgreSQL terminated'].inflict(scene),
  ),
  'PostgreSQL away 20 s': postgresFault(async ({ cluster }) => {
    await cluster.postgres.down();
    await pause(20_000);
    await cluster.postgres.up();
  }),
  'PostgreSQL, Redis and a node together': async (scene) => {
    await faults['PostgreSQL, Redis and a node together'].inflict(scene, ['postgres', 'redis', 'node 1']);
    return [];
  },
  'half-open to PostgreSQL': halfOpen('toPostgres'),
  'half-open to Redis': halfOpen('toRedis'),
  'half-open to PostgreSQL after numbering': halfOpenAfterNumbering,
  'half-open to the clients': halfOpenFront,
  'SIGTERM of each node': async ({ cluster }) => {
    const took: number[] = [];
    for (const { process } of cluster.nodes) {
      took.push(await process.stop());
      await process.start();
    }
    return [{ what: 'the slowest exit, ms', seen: Math.max(...took), bound: 10_000 }];
  },
};

export interface TableOptions {
  seed: number;
  /** How often each row is run. */
  times: number;
  /** Only rows whose name holds this. */
  only?: string;
  cluster: ClusterOptions;
  say: (line: string) => void;
}

/**
 * Runs the crash table, one fault at a time under load, then judges the whole history.
 * @returns figures beyond their bound, and violations, as sentences
 */
export async function crashTable({
  seed,
  times,
  only = '',
  cluster: options,
  say,
}: TableOptions): Promise<string[]> {
  const random = new Random(seed);
  const cluster = await Cluster.start(options);
  const people = new Population(cluster, random.fork());
  const faulty: string[] = [];
  try {
    await people.settle({ writers: 8, clients: 24, topical: 16, rate: 40, nervous: 0.05 });
    people.write();
    await pause(2000);
    for (const [fault, row] of Object.entries(rows)) {
      if (!fault.includes(only)) continue;
      for (let time = 0; time < times; time += 1) {
        // Everyone again, in turn: or the nodes that were restarted would have no clients.
        const cutAt = Date.now();
        cluster.front.cut();
        const anew = ({ history }: Listener) => (history.connections.at(-1)?.ready?.at ?? 0) >= cutAt;
        await until('the clients are spread', () => people.present.every(anew), 30_000);
        await pause(500);
        const figures = await row({ cluster, people, random });
        const bound = fault.includes('SIGSTOP') ? CONVERGED_AFTER_FREEZE : CONVERGED_WITHIN;
        figures.push(figureOf('all within reach of the head, ms', await caughtUp(people, bound), bound));
        for (const { what, seen, who = '', bound: most } of figures) {
          const line = `${seen <= most ? 'ok  ' : 'OVER'} ${fault}: ${what}: ${Math.round(seen)} (bound ${most})${seen > most ? ` ${who}` : ''}`;
          say(line);
          if (seen > most) faulty.push(line);
        }
        await pause(1000);
      }
    }
    const rest = Date.now();
    await people.hush();
    const took = await converge(cluster, people, rest, 30_000);
    people.recorder.convergences.push({ after: 'the table', took, bound: CONVERGED_AFTER_FREEZE });
    for (const { rule, what } of check(await collect(cluster, people)).slice(0, 30))
      faulty.push(`rule ${rule}: ${what}`);
    return faulty;
  } finally {
    people.leave();
    await people.hush();
    await cluster.stop();
  }
}

/** How long until every client has what any client had at the beginning, and which was the last. */
async function caughtUp(people: Population, bound: number): Promise<Longest> {
  const began = Date.now();
  const goal = Math.max(0, ...people.present.map((client) => client.seq ?? 0));
  const late = () => people.present.find((client) => !client.ready || (client.seq ?? 0) < goal);
  let who = '';
  await waitFor(() => {
    const client = late();
    if (client)
      who = `${client.history.kind} ${client.history.client} at ${client.seq ?? 0} of ${goal}, ${client.ready ? '' : 'not '}ready`;
    return !client;
  }, bound + 20_000);
  return { took: Date.now() - began, who };
}

/** When the condition held; Infinity if it did not within the time. */
async function waitFor(condition: () => unknown, within = 30_000): Promise<number> {
  const deadline = Date.now() + within;
  while (Date.now() < deadline) {
    if (condition()) return Date.now();
    await pause(10);
  }
  return Infinity;
}

function memoryOf(cluster: Cluster): Promise<number[]> {
  return Promise.all(cluster.nodes.map((node) => node.process.memory()));
}

function growth(before: number[], after: number[]): number {
  return Math.max(...after.map((bytes, at) => (bytes - (before[at] ?? bytes)) / MIB));
}
