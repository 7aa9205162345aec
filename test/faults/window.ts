import { percentile } from './percentile.ts';
import { type ClientHistory, isPost, type Write } from './history.ts';
import type { Population } from './population.ts';
import { wantsPost } from './views.ts';

export interface Longest {
  /** Milliseconds. */
  took: number;
  /** The client. */
  who: string;
}

export function isSocket({ kind }: ClientHistory): boolean {
  return kind === 'stock' || kind === 'package';
}

/** Whether it takes everything public: then it hears an event all the time. */
function takesAll({ view }: ClientHistory): boolean {
  return view === undefined;
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

  /** The longest time that one of these clients heard no event, and whose it was. Who takes some topics hears few. */
  silence(clients: ClientHistory[]): Longest {
    const longest: Longest = { took: 0, who: '' };
    for (const { deliveries, client } of clients.filter(takesAll)) {
      let last = this.#from;
      for (const at of [...deliveries.map((delivery) => delivery.at), this.#to]) {
        if (at < this.#from || at > this.#to) continue;
        if (at - last > longest.took) Object.assign(longest, { took: at - last, who: client });
        last = at;
      }
    }
    return longest;
  }

  /**
   * The longest time from an answered write to its delivery, over those of these clients who take some topics. One that
   * has not come has taken until the end.
   */
  wait(clients: ClientHistory[]): Longest {
    const topical = clients.filter((client) => !takesAll(client));
    const { latest } = this.#latenciesOf(topical);
    const ends = this.#creations;
    const created = [...this.#people.recorder.firstSeen.values()]
      .filter(isPost)
      .filter(({ id, version }) => version === 1 && ends.has(id));
    for (const { client, view, deliveries } of topical) {
      const heard = new Set(deliveries.map(({ id }) => id));
      for (const post of created) {
        const passed = this.#to - (ends.get(post.id) ?? this.#to);
        if (view && passed > latest.took && !heard.has(post.id) && wantsPost(view, post))
          Object.assign(latest, { took: passed, who: client });
      }
    }
    return latest;
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
    const { latencies, latest } = this.#latenciesOf(this.#present);
    return { took: percentile(latencies, 0.99), who: `${latest.who} ${Math.round(latest.took)}` };
  }

  /** Post → when its author was told that it is written. */
  get #creations(): Map<number, number> {
    const ends = new Map<number, number>();
    for (const { op, end, outcome, postId } of this.#people.recorder.writes)
      if ((op === 'create' || op === 'reply') && outcome === 'ok' && postId !== undefined && this.#holds(end))
        ends.set(postId, end);
    return ends;
  }

  #latenciesOf(clients: ClientHistory[]): { latencies: number[]; latest: Longest } {
    const ends = this.#creations;
    const latencies: number[] = [];
    const latest: Longest = { took: 0, who: '' };
    for (const { client, deliveries } of clients) {
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
    return { latencies, latest };
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
