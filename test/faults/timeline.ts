import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { type Fault, type FaultName, faults, type Resource } from './faults.ts';
import type { Population } from './population.ts';
import type { Random } from './random.ts';

/** Two at a time: faults meet each other, and a run still ends in a known state. */
const LANES = 2;

/** Draws faults and inflicts them, a few at a time, until the time is over; then waits for all of them to be healed. */
export class Timeline {
  readonly inflicted: Partial<Record<FaultName, number>> = {};
  /** Whether a node has been frozen within the last seconds, which gives the others longer to converge. */
  frozen = false;
  readonly #cluster: Cluster;
  readonly #people: Population | undefined;
  readonly #random: Random;
  readonly #names: readonly FaultName[];
  readonly #say: (line: string) => void;
  readonly #held = new Set<Resource>();

  constructor(
    cluster: Cluster,
    people: Population | undefined,
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
      await pause(random.between(100, 1000));
    }
  }
}
