import { withDeadline } from '../../../client/src/deadline.ts';
import type { Random } from '../../faults/random.ts';
import { until } from '../../support/waiting.ts';
import { faultsOf, socketFaultsOf, type JudgeContext } from './judge.ts';
import { type Hold, planWave } from './plan.ts';
import { type Ground, Stage, type StageKind } from './stage.ts';
import { reached, WavePlayer } from './wave-player.ts';

export interface LifeOptions {
  kind: StageKind;
  ground: Ground;
  random: Random;
  /** What is held in each wave of ended sessions. */
  holds: readonly Hold[];
  /** What is held while it stops. */
  lastHold: Hold;
  tree?: string;
}

/** What a life brought to light. */
export interface LifeReport {
  violations: string[];
  /** How often answers were of which kind: whether what was meant to be met was met. */
  met: Record<string, number>;
}

/** How long ends may take to be noticed by their clients, and what was left behind to be let go. Milliseconds. */
const SETTLES_WITHIN = 3500;
const LEAVES_WITHIN = 6000;
/** How soon the end of a process is noticed. Milliseconds. */
const NOTICED_WITHIN = 1000;
/** Timers that come and go with idle database connections. */
const TIMERS = 16;

/** What there may be when everyone has left, by the metrics: the bystanders and who reads the metrics are answered. */
const COUNTS: Readonly<Record<string, number>> = {
  tidings_connection_slots_used: 0,
  tidings_connections: 0,
  tidings_subscribers: 0,
  tidings_http_responses_in_progress: 4,
};
const TIMERS_COUNT = 'nodejs_active_resources{type="Timeout"}';

/**
 * Starts nodes, lets sessions end in waves, sees whether everything was let go, and stops the nodes during another
 * wave.
 */
export async function live({
  kind,
  ground,
  random,
  holds,
  lastHold,
  tree,
}: LifeOptions): Promise<LifeReport> {
  const stage = await Stage.open(kind, ground, tree);
  const player = new WavePlayer(stage);
  const { played } = player;
  const violations: string[] = [];
  const around = (): JudgeContext => ({
    ...played,
    shutdownDelay: kind.shutdownDelay,
    isShared: kind.nodes * kind.workers > 1,
    waited: (from, to) => stage.fairness.waited(from, to),
    now: Date.now(),
  });
  const found = () => [
    ...played.connections.flatMap((connection) => faultsOf(connection, around())),
    ...played.sockets.flatMap((socket) => socketFaultsOf(socket, around())),
  ];
  try {
    await play().catch(async (error: unknown) => {
      // A node that has ended answers nobody, and says so itself.
      await reached(() => stage.isLost, NOTICED_WITHIN);
      if (!stage.isLost) throw error;
    });
    // What was seen on a connection may be the first sign of the end of a process.
    if (violations.length > 0) await reached(() => stage.isLost, NOTICED_WITHIN);
    await player.end();
    const misconduct = stage.nodes.flatMap((node) => node.misconduct);
    violations.push(...stage.violations, ...misconduct.map(({ node, what }) => `${node}: ${what}`));
    return { violations, met: metBy(player) };
  } finally {
    await player.end();
    for (const connection of played.connections) connection.leave('abort');
    for (const socket of played.sockets) socket.leave();
    await stage.close();
  }

  async function play(): Promise<void> {
    await player.begin();
    const atRest = await counted(stage);
    for (const hold of holds) {
      await player.play(planWave(hold, false, kind, random.fork()));
      violations.push(...found());
      if (stage.isLost || violations.length > 0) return;
    }
    await settle(around);
    violations.push(...found());
    for (const connection of played.connections) connection.leave(random.chance(0.5) ? 'abort' : 'reset');
    for (const socket of played.sockets) socket.leave();
    if (stage.isLost || violations.length > 0) return;
    if (holds.length > 0) violations.push(...(await leftBehind(stage, atRest)));
    if (stage.isLost || violations.length > 0) return;
    await player.play(planWave(lastHold, true, kind, random.fork()));
    for (const node of stage.nodes.slice(1)) {
      if (stage.isLost) return;
      stage.expectStop(node);
      played.stops.set(node.url, Date.now());
      await node.stop();
    }
    violations.push(...found());
  }

  /** Waits until all that must end has ended, or is late. */
  async function settle(context: () => JudgeContext): Promise<void> {
    const isOver = () => {
      const now = { ...context(), now: Date.now() };
      return (
        played.connections.every(
          ({ asked, closedAt, leftAt, pausedAt }) =>
            closedAt !== undefined ||
            leftAt !== undefined ||
            pausedAt !== undefined ||
            asked.every(
              ({ pass, answer, sentAt }, at) =>
                sentAt === undefined ||
                answer?.wholeAt !== undefined ||
                !hasEnded(pass, now.now) ||
                // Behind one that continues.
                (at > 0 && asked[at - 1]?.answer?.wholeAt === undefined),
            ),
        ) &&
        played.sockets.every(
          ({ closedAt, leftAt, pausedAt, pass, joinedAt }) =>
            closedAt !== undefined ||
            leftAt !== undefined ||
            pausedAt !== undefined ||
            joinedAt === undefined ||
            !hasEnded(pass, now.now),
        )
      );
    };
    await until('the ends', isOver, SETTLES_WITHIN).catch(() => undefined);
  }
}

function hasEnded(
  pass: { session: { endingAt: number | undefined }; expiresAt: number },
  now: number,
): boolean {
  return pass.session.endingAt !== undefined || pass.expiresAt < now + SETTLES_WITHIN;
}

async function leftBehind(stage: Stage, before: readonly Map<string, number>[]): Promise<string[]> {
  let left: string[] = [];
  const isBack = async () => {
    const now = await counted(stage);
    left = now.flatMap((counts, at) => {
      const name = stage.node(at).name;
      const taken = Object.entries(COUNTS)
        .filter(([count, most]) => (counts.get(count) ?? Infinity) > most)
        .map(([count]) => `${name}: ${count} is ${counts.get(count) ?? 'not told'} when everybody has left`);
      const timers = (counts.get(TIMERS_COUNT) ?? 0) - (before[at]?.get(TIMERS_COUNT) ?? 0);
      return timers > TIMERS ? [...taken, `${name}: ${timers} timers more than before`] : taken;
    });
    return left.length === 0;
  };
  try {
    await until('everything to be let go', isBack, LEAVES_WITHIN);
    return [];
  } catch {
    return left;
  }
}

async function counted(stage: Stage): Promise<Map<string, number>[]> {
  return Promise.all(
    stage.nodes.map(async ({ url }) => {
      const text = await withDeadline(5000, undefined, async (signal) =>
        (await fetch(`${url}/metrics`, { signal })).text(),
      );
      return new Map(
        [...Object.keys(COUNTS), TIMERS_COUNT].flatMap((name) => {
          const line = text.split('\n').find((one) => one.startsWith(`${name} `));
          return line === undefined ? [] : [[name, Number(line.slice(name.length))] as const];
        }),
      );
    }),
  );
}

function metBy({ played }: WavePlayer): Record<string, number> {
  const met: Record<string, number> = {};
  const count = (what: string) => (met[what] = (met[what] ?? 0) + 1);
  for (const { asked } of played.connections)
    for (const { kind, answer } of asked) {
      if (!answer) continue;
      count(`${kind} ${answer.status}`);
      const last = answer.events.at(-1);
      if (last?.event === 'session:closed')
        count(`stream ${(JSON.parse(last.data) as { code: string }).code}`);
    }
  for (const { readyAt, refused, closed } of played.sockets) {
    if (readyAt !== undefined) count('socket ready');
    if (refused) count(`socket ${refused.status}`);
    if (closed) count(`socket ${closed.code}`);
  }
  return met;
}
