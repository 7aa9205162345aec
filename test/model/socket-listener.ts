import { setTimeout as pause } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import type { ClientToServer, Position, ServerToClient, Subscribed } from '../../server/contract.ts';
import type { Random } from '../faults/random.ts';
import type { TestUser } from '../support/world.ts';
import { type ModelListener, type Story, Teller } from './record.ts';

/** More than two beacons: who has heard nothing for so long connects again. Milliseconds. */
const SILENCE = 4500;
/** How long a request may take to be answered. Milliseconds. */
const ANSWER_WITHIN = 12_000;
/** Until who was refused tries again. Milliseconds. */
const AGAIN = 250;

export interface ModelListenerOptions {
  name: string;
  url: string;
  user: TestUser;
  random: Random;
  /** Draws what to subscribe to; undefined: everything public. */
  topics: () => readonly string[] | undefined;
  /** Never changes its topics. */
  steady: boolean;
}

type Answered<T> = { ok: true; data: T } | { ok: false };

/**
 * `socket.io-client` without any repair: it believes what it is told, gives its position back when it connects again,
 * and changes its topics at random.
 */
export class SocketListener implements ModelListener {
  readonly #teller: Teller;
  readonly #options: ModelListenerOptions;
  readonly #socket: Socket<ServerToClient, ClientToServer>;
  readonly #watch: NodeJS.Timeout;
  #topics: readonly string[] | undefined;
  #epoch: string | undefined;
  #again: NodeJS.Timeout | undefined;
  #heardAt = Date.now();
  #isReady = false;

  constructor(options: ModelListenerOptions) {
    const { name, user, url } = options;
    this.#options = options;
    this.#teller = new Teller(name, user.id);
    this.#topics = options.topics();
    this.#socket = io(url, {
      transports: ['websocket'],
      forceNew: true,
      autoConnect: false,
      timeout: 3000,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
      // Asked at each connection.
      auth: (tell: (auth: object) => void) => {
        this.#isReady = false;
        this.#heardAt = Date.now();
        this.#teller.open(this.#topics);
        tell({
          token: user.token,
          tallies: 'none',
          ...(this.#topics && { topics: this.#topics }),
          ...(this.position !== undefined && { after: this.position, epoch: this.#epoch }),
        });
      },
    });
    this.#listen();
    this.#watch = setInterval(() => {
      if (Date.now() - this.#heardAt > SILENCE) this.#reconnect();
    }, 250);
  }

  get story(): Story {
    return this.#teller.story;
  }

  get position(): number | undefined {
    return this.#teller.position;
  }

  get openedAt(): number {
    return this.#teller.openedAt;
  }

  start(): void {
    this.#socket.connect();
  }

  stop(): void {
    clearInterval(this.#watch);
    clearTimeout(this.#again);
    this.#socket.disconnect();
  }

  async stir(): Promise<void> {
    const { random, topics, steady } = this.#options;
    const wanted = topics();
    const what = random.weighted({ reconnect: 2, subscribe: 4, unsubscribe: 2 });
    if (what === 'reconnect' || steady || !this.#topics || !wanted) {
      this.#socket.disconnect();
      if (random.chance(0.3)) await pause(random.between(0, 2000));
      if (!steady && random.chance(0.3)) this.#topics = wanted;
      this.#socket.connect();
    } else if (!this.#isReady) return;
    else if (what === 'subscribe') await this.#subscribe(wanted);
    else await this.#unsubscribe(wanted);
  }

  #subscribe(topics: readonly string[]): Promise<void> {
    const { random } = this.#options;
    const { position = 0 } = this;
    const from = random.chance(0.3) ? undefined : Math.max(0, position + 2 - random.below(40));
    const epoch = this.#epoch;
    const asked = { topics: [...topics], ...(from !== undefined && epoch !== undefined && { from, epoch }) };
    return this.#ask<Subscribed>(
      (ack) => this.#socket.timeout(ANSWER_WITHIN).emit('subscribe', asked, ack),
      ({ seq, events, reset = [] }) => {
        const all = [...new Set([...(this.#topics ?? []), ...topics])];
        if (from !== undefined)
          this.#teller.answered({
            topics: topics.filter((topic) => !reset.includes(topic)),
            all,
            from,
            upTo: seq,
            events: events.map((event) => ({ ...event, data: event.data as Record<string, unknown> })),
          });
        this.#topics = all;
        this.#teller.change(all, seq);
      },
    );
  }

  #unsubscribe(topics: readonly string[]): Promise<void> {
    return this.#ask<{ topics: string[] }>(
      (ack) => this.#socket.timeout(ANSWER_WITHIN).emit('unsubscribe', { topics: [...topics] }, ack),
      (left) => {
        this.#topics = left.topics;
        this.#teller.change(left.topics, this.position ?? 0);
      },
    );
  }

  /** @param take what is done with the answer before anything that comes behind it; not called if it was refused */
  #ask<T>(
    ask: (ack: (error: Error | null, answer: Answered<T>) => void) => void,
    take: (data: T) => void,
  ): Promise<void> {
    const { id } = this.#socket;
    return new Promise((resolve) => {
      ask((error, answer) => {
        if (this.#socket.id === id) {
          // It may have been done without an answer.
          if (error) this.#reconnect();
          else if (answer.ok) take(answer.data);
        }
        resolve();
      });
    });
  }

  #reconnect(): void {
    this.#heardAt = Date.now();
    this.#socket.disconnect().connect();
  }

  #listen(): void {
    this.#socket.onAny((name: string, ...args: unknown[]) => {
      this.#heardAt = Date.now();
      if (name === 'feed:head') this.#teller.head(args[0] as Position);
      else if (name.includes(':') && !name.startsWith('session:'))
        this.#teller.event(name, args[0] as Record<string, unknown>, args[1] as Position);
    });
    this.#socket.on('ready', ({ seq, epoch, outcome, reason }) => {
      this.#epoch = epoch;
      this.#isReady = true;
      if (outcome === 'reset') this.story.resets.push(reason ?? '');
      if (this.position === undefined || outcome === 'reset') this.#teller.begin(this.#topics, seq);
      else this.#teller.moved(seq);
    });
    this.#socket.on('connect_error', () => {
      // Refused, as while its user is suspended: a stock client stays away after that.
      clearTimeout(this.#again);
      if (!this.#socket.active) this.#again = setTimeout(() => this.#socket.connect(), AGAIN);
    });
    this.#socket.on('disconnect', (reason) => {
      this.#isReady = false;
      // So does the server end a connection whose queue it must not send: a stock client stays away after that.
      if (reason === 'io server disconnect') this.#socket.connect();
    });
  }
}
