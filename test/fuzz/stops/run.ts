import { Random } from '../../faults/random.ts';
import { buildTree } from '../../faults/tree.ts';
import type { StopBug } from './bugs.ts';
import { type LifeReport, live } from './life.ts';
import { type Hold, shuffledHolds } from './plan.ts';
import { type Ground, type StageName, stageKinds } from './stage.ts';

export interface StopsOptions {
  seed: number;
  ground: Ground;
  /** What is played on; each of these at once, and again and again. */
  stages: readonly StageName[];
  /** Lives on each. */
  lives: number;
  /** Waves of ended sessions in each life, beside the one in which it stops. */
  waves: number;
  /** After so many seconds no other life is begun. */
  seconds: number;
  tree?: string;
  /** What is held in the waves of ended sessions. Default: one after the other. */
  hold?: Hold;
  /** Whether to continue after the first violation. */
  onwards?: boolean;
}

export interface StopsReport {
  lives: number;
  met: Record<string, number>;
  violations: string[];
}

/**
 * Lets sockets, streams, long-polls and short requests begin and end at every step of the end of a session and of a stop,
 * from a seed.
 */
export async function fuzzStops(options: StopsOptions): Promise<StopsReport> {
  const { seed, ground, stages, lives, waves, seconds, tree, hold, onwards = false } = options;
  const report: StopsReport = { lives: 0, met: {}, violations: [] };
  const random = new Random(seed);
  const until = Date.now() + seconds * 1000;
  // Dealt out, so that a few lives have met all that is held.
  const holds = shuffledHolds(random.fork());
  const lanes = stages.map((name, at) => ({
    name,
    random: random.fork(),
    deal: inTurn(hold === undefined ? holds.ofWaves : [hold], at * waves),
    dealLast: inTurn(holds.ofStops, at),
  }));
  await Promise.all(
    lanes.map(async ({ name, random: own, deal, dealLast }) => {
      for (let life = 1; life <= lives; life += 1) {
        if (Date.now() > until || (!onwards && report.violations.length > 0)) return;
        const drawn = Array.from({ length: waves }, deal);
        const lastHold = dealLast();
        const { violations, met } = await live({
          kind: stageKinds[name],
          ground,
          random: own.fork(),
          holds: drawn,
          lastHold,
          ...(tree === undefined ? {} : { tree }),
        });
        report.lives += 1;
        report.violations.push(
          ...violations.map(
            (violation) =>
              `seed ${seed}, ${name}, life ${life}, holding ${[...drawn, lastHold].map((hold) => hold ?? 'nothing').join(', ')}: ${violation}`,
          ),
        );
        addTo(report.met, met);
      }
    }),
  );
  return report;
}

/** Lives of a node in which a bug has to show. */
const LIVES = 3;

/** What comes to light on a node with a bug, until something does. */
export async function violationsWith(
  { patches, waves, hold }: StopBug,
  seed: number,
  ground: Ground,
): Promise<string[]> {
  const tree = await buildTree(patches);
  try {
    const report = await fuzzStops({
      seed,
      ground,
      stages: ['alone'],
      lives: LIVES,
      waves,
      seconds: 120,
      tree: tree.root,
      ...(hold === undefined ? {} : { hold }),
    });
    return report.violations;
  } finally {
    await tree.remove();
  }
}

function inTurn<T>(items: readonly T[], first: number): () => T | undefined {
  let at = first;
  return () => items[at++ % items.length];
}

function addTo(sum: Record<string, number>, more: LifeReport['met']): void {
  for (const [what, times] of Object.entries(more)) sum[what] = (sum[what] ?? 0) + times;
}
