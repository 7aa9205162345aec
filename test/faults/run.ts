import { setTimeout as pause } from 'node:timers/promises';
import { check, type Violation } from './checker.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { collect, converge } from './collect.ts';
import {
  CONVERGED_AFTER_FREEZE,
  CONVERGED_WITHIN,
  type Fault,
  type FaultName,
  faults,
  type Resource,
} from './faults.ts';
import type { History } from './history.ts';
import { Population, type PopulationOptions } from './population.ts';
import { Random } from './random.ts';

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
/** Two at a time: faults meet each other, and a run still ends in a known state. */
const LANES = 2;

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
    longestSilence: Math.max(0, ...clients.map((client) => client.longestSilence)),
  };
}

/** Draws faults and inflicts them, a few at a time, until the time is over; then waits for all of them to be healed. */
class Timeline {
  readonly inflicted: Partial<Record<FaultName, number>> = {};
  /** Whether a node has been frozen within the last seconds, which gives the others longer to converge. */
  frozen = false;
  readonly #cluster: Cluster;
  readonly #people: Population;
  readonly #random: Random;
  readonly #names: readonly FaultName[];
  readonly #say: (line: string) => void;
  readonly #held = new Set<Resource>();

  constructor(
    cluster: Cluster,
    people: Population,
    random: Random,
    only: readonly FaultName[] | undefined,
    say: (line: string) => void,
  ) {
    this.#cluster = cluster;
    this.#people = people;
    this.#random = random;
    this.#names = only ?? (Object.keys(faults) as FaultName[]);
    this.#say = say;
  }

  async play(milliseconds: number): Promise<void> {
    const until = Date.now() + milliseconds;
    const lanes = Array.from({ length: LANES }, () => this.#lane(until, this.#random.fork()));
    // To the end of all, also when one fails: what continues breaking things would outlive the cluster.
    const ended = await Promise.allSettled(lanes);
    for (const lane of ended) if (lane.status === 'rejected') throw lane.reason;
  }

  async #lane(until: number, random: Random): Promise<void> {
    const weights = Object.fromEntries(this.#names.map((name) => [name, faults[name].weight])) as Record<
      FaultName,
      number
    >;
    await pause(random.between(500, 2000));
    while (Date.now() < until) {
      const name = random.weighted(weights);
      const fault: Fault = faults[name];
      const needs = fault.needs(random, this.#cluster.nodes.length);
      if (needs.some((need) => this.#held.has(need))) {
        await pause(50);
        continue;
      }
      for (const need of needs) this.#held.add(need);
      const began = Date.now();
      try {
        await fault.inflict({ cluster: this.#cluster, people: this.#people, random }, needs);
      } finally {
        for (const need of needs) this.#held.delete(need);
      }
      this.frozen = fault.freezes === true;
      this.inflicted[name] = (this.inflicted[name] ?? 0) + 1;
      this.#say(`${name} [${needs.join(', ')}], healed after ${Date.now() - began} ms`);
      await pause(random.between(200, 2000));
    }
  }
}
