import { setTimeout as pause } from 'node:timers/promises';
import { Delays } from './delays.ts';
import { FeedClient, type LoaderContext } from './feed-client.ts';
import { inLanes } from './lanes.ts';
import type { BeginLoader, FromLoader, SettleLoader, ToLoader } from './messages.ts';
import { type SeenEvent, SharedStream } from './shared-stream.ts';

/** A process that holds a part of the connections. It is told what to do by the load test that forked it. */

/** Milliseconds between two reports, between two looks at whether all has arrived, and before a lost client comes back. */
const REPORT = 1000;
const LOOK = 100;
const RETURN = { least: 200, most: 3000 };

class Loader {
  readonly #task: BeginLoader;
  readonly #stream: SharedStream;
  readonly #clients: FeedClient[] = [];
  readonly #sinceWritten = new Delays();
  readonly #sinceAsked = new Delays();
  readonly #handshakes = new Delays();
  readonly #refused = new Map<string, number>();
  readonly #dropped = new Map<string, number>();
  readonly #around: LoaderContext;
  readonly #timer: NodeJS.Timeout;
  #ended = false;
  #connected = 0;
  #tried = 0;
  #returned = 0;
  #events = 0;
  #tallyFrames = 0;
  #beats = 0;
  #bytes = 0;

  constructor(task: BeginLoader) {
    this.#task = task;
    this.#stream = new SharedStream(task.topics !== undefined);
    this.#around = {
      url: new URL(task.url),
      localAddress: task.localAddress,
      stream: this.#stream,
      topics: task.topics,
      from: task.from,
      posts: task.posts,
      onEvent: (event) => this.#noteEvent(event),
      onTallies: () => (this.#tallyFrames += 1),
      onBeat: () => (this.#beats += 1),
      onBytes: (bytes) => (this.#bytes += bytes),
    };
    this.#timer = setInterval(() => this.#report(), REPORT);
  }

  /** Opens all connections, so many at once, and says what became of them. */
  async ramp(): Promise<void> {
    const { sockets, together, rate } = this.#task;
    const over = () => this.#ended;
    await inLanes(sockets, together, (number) => this.#admit(number), { every: 1000 / rate, over });
    say({
      type: 'ramped',
      refused: Object.fromEntries(this.#refused),
      handshakes: this.#handshakes.encode(),
    });
  }

  async #admit(number: number): Promise<void> {
    const { tokens } = this.#task;
    const client = new FeedClient(this.#around, tokens[number % tokens.length] ?? '', (reason) => {
      this.#connected -= 1;
      count(this.#dropped, reason ?? 'closed');
      void this.#return(client);
    });
    const began = performance.now();
    const reason = await client.connect();
    this.#tried += 1;
    if (reason !== undefined) {
      count(this.#refused, reason);
      return;
    }
    this.#handshakes.record(performance.now() - began);
    this.#connected += 1;
    this.#clients.push(client);
  }

  #noteEvent({ writtenAt, askedAt }: SeenEvent): void {
    this.#events += 1;
    const now = performance.timeOrigin + performance.now();
    if (writtenAt !== undefined) this.#sinceWritten.record(now - writtenAt);
    if (askedAt !== undefined) this.#sinceAsked.record(now - askedAt);
  }

  /** A client whose connection has ended comes back with its position, as a real one does. */
  async #return(client: FeedClient): Promise<void> {
    for (let wait = RETURN.least; !this.#ended; wait = Math.min(RETURN.most, wait * 2)) {
      await pause(wait * (0.5 + Math.random()));
      if (this.#ended || (await client.connect()) !== undefined) continue;
      this.#connected += 1;
      this.#returned += 1;
      return;
    }
  }

  #report(): void {
    const now = Date.now();
    for (const client of this.#clients) client.checkSilence(now);
    say({
      type: 'progress',
      connected: this.#connected,
      tried: this.#tried,
      events: this.#events,
      tallyFrames: this.#tallyFrames,
      beats: this.#beats,
      bytes: this.#bytes,
      sinceWritten: this.#sinceWritten.encode(),
      sinceAsked: this.#sinceAsked.encode(),
    });
    this.#events = this.#tallyFrames = this.#beats = this.#bytes = 0;
    this.#sinceWritten.reset();
    this.#sinceAsked.reset();
  }

  /** Waits until every client has all that was written, or for as long as it may take, and judges. */
  async settle({ head, tallies, limit }: SettleLoader): Promise<void> {
    const final = tallies.map((tally) => ({ slot: this.#stream.slotOf(tally.post_id), rev: tally.rev }));
    const deadline = performance.now() + limit;
    while (performance.now() < deadline) {
      if (this.#clients.every(({ history, tallies: own }) => history.reaches(head) && own.stale(final) === 0))
        break;
      await pause(LOOK);
    }
    for (const tally of tallies) this.#stream.confirm(tally);
    this.#report();
    const sum = (of: (client: FeedClient) => number) =>
      this.#clients.reduce((total, client) => total + of(client), 0);
    say({
      type: 'verdict',
      clients: this.#clients.length,
      lost: sum(({ history }) => history.lost(head)),
      doubled: sum(({ history }) => history.doubled),
      outOfOrder: sum(({ history }) => history.outOfOrder),
      stale: sum((client) => client.tallies.stale(final)),
      contradictions: this.#stream.contradictions,
      dropped: Object.fromEntries(this.#dropped),
      returned: this.#returned,
      resets: sum(({ history }) => history.resets),
      created: [...this.#stream.events.values()]
        .filter((event) => event.name === 'post:created')
        .map(({ postId, seq }) => ({ postId, seq })),
    });
  }

  end(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    for (const client of this.#clients) client.close();
  }
}

function say(message: FromLoader): void {
  process.send?.(message);
}

function count(map: Map<string, number>, reason: string): void {
  map.set(reason, (map.get(reason) ?? 0) + 1);
}

let loader: Loader | undefined;
process.on('message', (message: ToLoader) => {
  if (message.type === 'begin') {
    loader = new Loader(message);
    void loader.ramp();
  } else if (message.type === 'settle') void loader?.settle(message);
  else {
    loader?.end();
    process.disconnect();
  }
});
// Without its parent it has nobody to load for.
process.on('disconnect', () => process.exit(0));
