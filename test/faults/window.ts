import { percentile } from './percentile.ts';
import type { ClientHistory, Write } from './history.ts';
import type { Population } from './population.ts';

export interface Longest {
  /** Milliseconds. */
  took: number;
  /** The client. */
  who: string;
}

export function isSocket({ kind }: ClientHistory): boolean {
  return kind === 'stock' || kind === 'package';
}

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

  /** Clients whose connection ended meanwhile though the token that it carried was still good. */
  get cutOff(): ClientHistory[] {
    return this.#present.filter((client) =>
      client.connections.some(
        ({ closedAt, tokenEndsAt = Infinity }) => this.#holds(closedAt) && tokenEndsAt > (closedAt ?? 0),
      ),
    );
  }

  /** Clients that listen all the time, and did not have to open a stream meanwhile since their token ended. */
  get listening(): ClientHistory[] {
    return this.#present.filter(
      ({ kind, connections }) =>
        kind !== 'poll' &&
        !(kind === 'stream' && connections.some(({ tokenEndsAt }) => this.#holds(tokenEndsAt))),
    );
  }

  /** Clients that kept their connection. */
  get undisturbed(): ClientHistory[] {
    const disturbed = new Set(this.disturbed);
    return this.#present.filter((client) => !disturbed.has(client));
  }

  /** The longest time that one of these clients heard no event, and whose it was. */
  silence(clients: ClientHistory[]): Longest {
    const longest: Longest = { took: 0, who: '' };
    for (const { deliveries, client } of clients) {
      let last = this.#from;
      for (const at of [...deliveries.map((delivery) => delivery.at), this.#to]) {
        if (at < this.#from || at > this.#to) continue;
        if (at - last > longest.took) Object.assign(longest, { took: at - last, who: client });
        last = at;
      }
    }
    return longest;
  }

  /** The longest time from the beginning to the end of one of the disturbed clients' connection. */
  get left(): Longest {
    const longest: Longest = { took: 0, who: '' };
    for (const { client, connections } of this.disturbed) {
      const closed = connections.find(({ closedAt }) => this.#holds(closedAt))?.closedAt ?? Infinity;
      if (closed - this.#from > longest.took)
        Object.assign(longest, { took: closed - this.#from, who: client });
    }
    return longest;
  }

  /** The longest time from the beginning to the greeting of one of the disturbed clients' next connection. */
  get resumed(): Longest {
    const longest: Longest = { took: 0, who: '' };
    for (const client of this.disturbed) {
      const took = this.#resumedAt(client) - this.#from;
      if (took > longest.took) Object.assign(longest, { took, who: client.client });
    }
    return longest;
  }

  /** The 99th percentile of the time from an answered write to its delivery, over all clients, and which heard latest. */
  get latency(): Longest {
    const ends = new Map<number, number>();
    for (const { op, end, outcome, postId } of this.#people.recorder.writes)
      if (op === 'create' && outcome === 'ok' && postId !== undefined && this.#holds(end))
        ends.set(postId, end);
    const latencies: number[] = [];
    const latest: Longest = { took: 0, who: '' };
    for (const { client, deliveries } of this.#present) {
      // One that is published again is created again; its writing is not what is awaited then.
      const heard = new Set<number>();
      for (const { id, name, at } of deliveries) {
        const end = name === 'post:created' && !heard.has(id) ? ends.get(id) : undefined;
        if (end === undefined) continue;
        heard.add(id);
        latencies.push(Math.max(0, at - end));
        if (at - end > latest.took) Object.assign(latest, { took: at - end, who: client });
      }
    }
    return { took: percentile(latencies, 0.99), who: `${latest.who} ${Math.round(latest.took)}` };
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
