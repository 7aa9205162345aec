import { setTimeout as pause } from 'node:timers/promises';
import { Loaders } from '../loaders.ts';
import type { Position } from '../messages.ts';

export interface CrowdOptions {
  /** What they subscribe to; without it, everything public. */
  topics?: readonly string[] | undefined;
  /** The position that they come back with. */
  from?: Position;
  /** Handshakes in progress at once. */
  together?: number;
}

/** Clients of one server, in processes of their own, and what they have been handed. */
export class Crowd {
  readonly #loaders: Loaders;
  /** Events and tally messages, counted once per client. Reported once a second. */
  events = 0;
  tallyFrames = 0;
  /** Pings and beacons, in the same way. */
  beats = 0;

  private constructor(
    url: string,
    tokens: string[],
    sockets: number,
    { together = 100, ...ask }: CrowdOptions,
  ) {
    this.#loaders = new Loaders({
      url,
      tokens,
      ...ask,
      sockets,
      processes: Math.ceil(sockets / 15_000),
      posts: 0,
      rate: Infinity,
      together,
      onProgress: (report) => {
        this.events += report.events;
        this.tallyFrames += report.tallyFrames;
        this.beats += report.beats;
      },
    });
  }

  /**
   * Connects them all.
   * @throws if one is refused
   */
  static async gather(
    url: string,
    tokens: string[],
    sockets: number,
    options: CrowdOptions = {},
  ): Promise<Crowd> {
    const crowd = new Crowd(url, tokens, sockets, options);
    for (const { refused } of await crowd.#loaders.ramp()) {
      const [reason] = Object.keys(refused);
      if (reason === undefined) continue;
      await crowd.end(); // or it would keep connecting while others are measured
      throw new Error(`a client was not let in: ${reason}`);
    }
    return crowd;
  }

  /** Waits until the clients have been handed so many more events, all together, than when there were `from`. */
  async hears(deliveries: number, from: number): Promise<void> {
    const deadline = performance.now() + 120_000;
    while (this.events < from + deliveries) {
      if (performance.now() > deadline)
        throw new Error(`${from + deliveries - this.events} deliveries are missing`);
      await pause(50);
    }
  }

  end(): Promise<void> {
    return this.#loaders.end();
  }
}
