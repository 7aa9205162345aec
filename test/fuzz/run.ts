import { Cluster } from '../faults/cluster.ts';
import { Random } from '../faults/random.ts';
import { signUp } from '../support/world.ts';
import type { Campaign } from './campaign.ts';
import { waitedForCpu } from './cpu-wait.ts';
import { fuzzFrames } from './frames.ts';
import { collectable, heldBy } from './heap.ts';
import { fuzzRequests } from './requests.ts';
import { fuzzStreams } from './streams.ts';
import { bearWitness, type Testimony } from './witness.ts';

export interface FuzzOptions {
  seed: number;
  frames: number;
  streams: number;
  bodies: number;
  /** After so many seconds nothing more is begun. */
  seconds: number;
  /** How much more the nodes may hold at the end than at the beginning, together, in MiB: compiled code, and caches as they fill. */
  kept: number;
  /** A compiled tree to run. Default: the sources of this one. */
  tree?: string;
}

export interface FuzzReport extends Testimony {
  sent: { frames: number; streams: number; bodies: number };
  seconds: number;
  /** What both nodes together hold before and after, in MiB. */
  memory: { before: number; after: number };
  violations: string[];
}

/** Inputs that are told beside an exit or a bug: those that were in progress. */
const REMEMBERED = 40;
/** How late a bystander may be, on a machine that has processors to spare. Milliseconds. */
const LATE = 1000;
/** How long what was left behind may take to go, from the last input on. Milliseconds. */
const SETTLE = 6000;

/** Two real nodes with PostgreSQL and Redis, a bystander and a writer; then everything hostile at once. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const random = new Random(options.seed);
  const cluster = await Cluster.start({
    nodes: 2,
    env: collectable,
    direct: true,
    ...(options.tree === undefined ? {} : { tree: options.tree }),
  });
  try {
    const urls = cluster.nodes.map((node) => node.process.url);
    const [first = '', second = ''] = urls;
    const recent: string[] = [];
    const violations: string[] = [];
    const began = Date.now();
    const campaign = (): Campaign => ({
      urls,
      random: random.fork(),
      over: () =>
        Date.now() > began + options.seconds * 1000 || cluster.nodes.some((node) => !node.process.running),
      note: (input) => {
        if (recent.push(input) > REMEMBERED) recent.shift();
      },
      violate: (what, input) => violations.push(`seed ${options.seed}: ${what}: ${input}`),
    });
    const attackers = await Promise.all(Array.from({ length: 8 }, () => signUp(first)));
    const draw = random.fork();
    const token = () => draw.pick(attackers).token;
    const processes = cluster.nodes.map((node) => node.process);
    const before = await heldBy(processes);
    const onTheWay = [...processes.map(({ pid }) => pid), process.pid];
    const testify = await bearWitness(first, second, () => waitedForCpu(onTheWay));
    const [frames, streams, bodies] = await Promise.all([
      fuzzFrames(campaign(), options.frames, token),
      fuzzStreams(campaign(), options.streams),
      fuzzRequests(campaign(), options.bodies, token),
    ]);
    const seconds = (Date.now() - began) / 1000;
    const ended = Date.now();
    const testimony = await testify();
    let after = Infinity;
    while (after > before + options.kept && processes.every(({ running }) => running)) {
      const isLast = Date.now() > ended + SETTLE;
      after = await heldBy(processes);
      if (isLast) break;
    }
    const misconduct = cluster.nodes.flatMap((node) => node.process.misconduct);
    for (const { node, what } of misconduct)
      violations.push(`seed ${options.seed}: ${node}: ${what}\n  ${recent.join('\n  ')}`);
    for (const fault of testimony.faults) violations.push(`seed ${options.seed}: ${fault}`);
    if (testimony.missed > 0) violations.push(`seed ${options.seed}: ${testimony.missed} events were missed`);
    if (testimony.maxOwn > LATE)
      violations.push(`seed ${options.seed}: an event was ${testimony.maxOwn} ms late (bound ${LATE})`);
    if (after > before + options.kept)
      violations.push(
        `seed ${options.seed}: ${Math.round(after - before)} MiB are held that were not before (bound ${options.kept})`,
      );
    return {
      ...testimony,
      sent: { frames, streams, bodies },
      seconds,
      memory: { before, after },
      violations,
    };
  } finally {
    await cluster.stop();
  }
}
