import { io, type Socket } from 'socket.io-client';
import type { Ready } from '../../server/contract.ts';
import type { Delays } from '../delays.ts';

/** What went wrong at all watchers so far. */
export interface Faults {
  /** Events whose `prev` is not the event before. */
  holes: number;
  /** Events that came twice or late. */
  repeats: number;
  /** The server no longer had what came after the position: the list is read again. */
  resets: number;
}

interface Place {
  seq: number;
  prev: number;
}

/** How long a watcher stays away. Milliseconds. */
const PAUSE = 2000;

/**
 * A client that stays for hours: a stock `socket.io-client` that keeps its position and nothing else. It checks that each
 * event follows the one before it, comes back where it was, and tells how long posts take.
 */
export class Watcher {
  readonly #socket: Socket;
  readonly #faults: Faults;
  #last: number | undefined;
  #epoch: string | undefined;
  /** Whether what comes is new; before, it is what was missed. */
  #isLive = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param topics what it hears; undefined: everything public */
  constructor(
    url: string,
    token: string,
    topics: readonly string[] | undefined,
    faults: Faults,
    delays: Delays,
  ) {
    this.#faults = faults;
    this.#socket = io(url, {
      transports: ['websocket'],
      forceNew: true,
      reconnectionDelay: 200,
      reconnectionDelayMax: 2000,
      auth: (give) =>
        give({
          token,
          ...(topics && { topics }),
          ...(this.#last === undefined ? {} : { after: this.#last, epoch: this.#epoch }),
        }),
    });
    this.#socket.on('ready', (ready: Ready) => this.#ready(ready));
    this.#socket.on('feed:head', ({ seq, prev }: Place) => this.#follow(seq, prev));
    this.#socket.onAny((_name: string, data: { created_at?: string; version?: number }, place?: Place) => {
      if (place?.prev === undefined) return;
      if (this.#last !== undefined && place.seq <= this.#last) this.#faults.repeats += 1;
      this.#follow(place.seq, place.prev);
      if (this.#isLive && data.version === 1 && data.created_at !== undefined)
        delays.record(Date.now() - Date.parse(data.created_at));
    });
    this.#socket.on('connect_error', () => {
      // A refusal ends the attempts of the library.
      if (!this.#socket.active) this.#again();
    });
    this.#socket.on('disconnect', (reason) => {
      this.#isLive = false;
      if (reason === 'io server disconnect') this.#again();
    });
  }

  /** The position up to which everything has been heard; undefined before the first. */
  get last(): number | undefined {
    return this.#last;
  }

  get connected(): boolean {
    return this.#socket.connected;
  }

  /** Loses its connection, and comes back a little later. */
  drop(): void {
    this.#socket.disconnect();
    this.#again();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#socket.disconnect();
  }

  #again(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.connect(), PAUSE * Math.random());
  }

  #ready({ seq, epoch, outcome }: Ready): void {
    if (outcome === 'reset') this.#faults.resets += 1;
    if (this.#last === undefined || outcome === 'reset') this.#last = seq;
    this.#epoch = epoch;
    this.#isLive = true;
  }

  #follow(seq: number, prev: number): void {
    if (this.#last === undefined || seq <= this.#last) return;
    if (prev > this.#last) this.#faults.holes += 1;
    this.#last = seq;
  }
}
