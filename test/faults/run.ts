import { check, type Violation } from './checker.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { collect, converge } from './collect.ts';
import { CONVERGED_AFTER_FREEZE, CONVERGED_WITHIN, type FaultName } from './faults.ts';
import type { History } from './history.ts';
import { Population, type PopulationOptions } from './population.ts';
import { Random } from './random.ts';
import { Timeline } from './timeline.ts';

export interface RunOptions extends Partial<PopulationOptions> {
  seed: number;
  /** How long people write and things break. */
  seconds: number;
  /** Faults that are drawn from. Default: all. */
  only?: readonly FaultName[];
  cluster?: ClusterOptions;
  /** How long to wait for stragglers beyond the bound, so that the report says how late they were. Milliseconds. */
  grace?: number;
  say?: (line: string) => void;
}

export interface Report {
  seed: number;
  violations: Violation[];
  /** Violations beyond those listed. */
  more: number;
  history: History;
  figures: Figures;
}

export interface Figures {
  faults: Partial<Record<FaultName, number>>;
  acknowledged: number;
  refused: number;
  unknown: number;
  deliveries: number;
  reconnects: number;
  events: number;
  /** The longest that a client heard no event while people wrote. Milliseconds. */
  longestSilence: number;
  /** From the last heal to the last client at the head. Milliseconds. */
  converged: number;
}

const LISTED = 50;
const GRACE = 20_000;
/** Makes a cluster, lets people write and things break for so many seconds, heals everything, and judges the history. */
export async function run(options: RunOptions): Promise<Report> {
  const { seed, seconds, say = () => undefined } = options;
  const random = new Random(seed);
  const cluster = await Cluster.start(options.cluster);
  const people = new Population(cluster, random.fork());
  try {
    await people.settle({
      writers: options.writers ?? 10,
      clients: options.clients ?? 30,
      rate: options.rate ?? 50,
      nervous: options.nervous ?? 0.05,
      topical: options.topical ?? 0,
    });
    people.write();
    const timeline = new Timeline(cluster, people, random, options.only, say);
    await timeline.play(seconds * 1000);
    const healedAt = Date.now();
    await people.hush();
    const bound = timeline.frozen ? CONVERGED_AFTER_FREEZE : CONVERGED_WITHIN;
    const took = await converge(cluster, people, healedAt, bound + (options.grace ?? GRACE));
    people.recorder.convergences.push({ after: 'the last fault', took, bound });
    // Where events are missing, tallies may never settle: that is a violation already.
    const history = await collect(cluster, people, { settles: took !== Infinity });
    const violations = check(history);
    return {
      seed,
      violations: violations.slice(0, LISTED),
      more: Math.max(0, violations.length - LISTED),
      history,
      figures: { ...figuresOf(people, history), faults: timeline.inflicted, converged: took },
    };
  } finally {
    people.leave();
    await people.hush();
    await cluster.stop();
  }
}

function figuresOf(
  { recorder, clients }: Population,
  { head }: History,
): Omit<Figures, 'faults' | 'converged'> {
  const count = (outcome: string) => recorder.writes.filter((write) => write.outcome === outcome).length;
  return {
    acknowledged: count('ok'),
    refused: count('refused'),
    unknown: count('unknown'),
    deliveries: recorder.deliveries,
    reconnects: recorder.reconnects,
    events: head,
    longestSilence: Math.max(
      0,
      ...clients.filter(({ history }) => !history.view).map((client) => client.longestSilence),
    ),
  };
}
