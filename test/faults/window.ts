import { percentile } from './percentile.ts';
import type { ClientHistory, Write } from './history.ts';
import type { Population } from './population.ts';

/** What the clients and writers of a run went through between two moments. Times are milliseconds since 1970. */
export class Window {
  readonly #people: Population;
  readonly #from: number;
  readonly #to: number;

  constructor(people: Population, from: number, to: number) {
    this.#people = people;
    this.#from = from;
    this.#to = to;
  }

  /** Clients whose connection ended meanwhile. */
  get disturbed(): ClientHistory[] {
    return this.#present.filter((client) => client.connections.some(({ closedAt }) => this.#holds(closedAt)));
  }

  /** Clients that kept their connection. */
  get undisturbed(): ClientHistory[] {
    const disturbed = new Set(this.disturbed);
    return this.#present.filter((client) => !disturbed.has(client));
  }

  /** The longest time that one of these clients heard no event. */
  silence(clients: ClientHistory[]): number {
    let longest = 0;
    for (const { deliveries } of clients) {
      let last = this.#from;
      for (const { at } of deliveries) {
        if (at < this.#from || at > this.#to) continue;
        longest = Math.max(longest, at - last);
        last = at;
      }
      longest = Math.max(longest, this.#to - last);
    }
    return longest;
  }

  /** The longest time from the beginning to the greeting of one of the disturbed clients' next connection. */
  get resumed(): number {
    return Math.max(0, ...this.disturbed.map((client) => this.#resumedAt(client) - this.#from));
  }

  /** The 99th percentile of the time from an answered write to its delivery, over all clients. */
  get latency(): number {
    const ends = new Map<number, number>();
    for (const { op, end, outcome, postId } of this.#people.recorder.writes)
      if (op === 'create' && outcome === 'ok' && postId !== undefined && this.#holds(end))
        ends.set(postId, end);
    const latencies: number[] = [];
    for (const { deliveries } of this.#present) {
      for (const { id, name, at } of deliveries) {
        const end = name === 'post:created' ? ends.get(id) : undefined;
        if (end !== undefined) latencies.push(Math.max(0, at - end));
      }
    }
    return percentile(latencies, 0.99);
  }

  /** Writes that ended meanwhile. */
  get writes(): Write[] {
    return this.#people.recorder.writes.filter(({ end }) => this.#holds(end));
  }

  get #present(): ClientHistory[] {
    return this.#people.present.map(({ history }) => history);
  }

  #resumedAt({ connections }: ClientHistory): number {
    const lost = connections.findIndex(({ closedAt }) => this.#holds(closedAt));
    return connections.slice(lost + 1).find(({ ready }) => ready !== undefined)?.ready?.at ?? Infinity;
  }

  #holds(at: number | undefined): boolean {
    return at !== undefined && at >= this.#from && at <= this.#to;
  }
}
