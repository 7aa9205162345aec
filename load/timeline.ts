import { Delays } from './delays.ts';
import type { LoaderProgress } from './messages.ts';
import type { Usage } from './process-usage.ts';

/** One second of the test. */
export interface TimelinePoint {
  /** Seconds since its beginning. */
  at: number;
  connected: number;
  events: number;
  tallyFrames: number;
  /** Milliseconds from the writer's request; undefined where nothing was delivered. */
  p50: number | undefined;
  p99: number | undefined;
  /** Of the server's processes, in bytes and in cores; undefined if it runs elsewhere. */
  memory: number | undefined;
  cores: number | undefined;
  databaseCores: number | undefined;
}

const INTERVAL = 1000;

/** Adds up what the loader processes report, second by second. */
export class Timeline {
  readonly points: TimelinePoint[] = [];
  readonly sinceWritten = new Delays();
  readonly sinceAsked = new Delays();
  deliveries = 0;
  tallyFrames = 0;
  bytes = 0;
  /** Whether all connections have been made and the writers are at it. */
  writing = false;
  readonly #measure: (() => Promise<{ server: Usage; database: Usage }>) | undefined;
  readonly #began = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #connected = new Map<number, { connected: number; tried: number }>();
  readonly #now = new Delays();
  #events = 0;
  #frames = 0;
  #measuring = false;
  #used: { at: number; server: Usage; database: Usage } | undefined;

  constructor(measure: (() => Promise<{ server: Usage; database: Usage }>) | undefined) {
    this.#measure = measure;
    this.#timer = setInterval(() => void this.#point(), INTERVAL);
  }

  get connected(): number {
    return [...this.#connected.values()].reduce((sum, each) => sum + each.connected, 0);
  }

  get tried(): number {
    return [...this.#connected.values()].reduce((sum, each) => sum + each.tried, 0);
  }

  note(report: LoaderProgress, loader: number): void {
    this.#connected.set(loader, report);
    this.#events += report.events;
    this.#frames += report.tallyFrames;
    this.deliveries += report.events;
    this.tallyFrames += report.tallyFrames;
    this.bytes += report.bytes;
    this.sinceWritten.add(report.sinceWritten);
    this.sinceAsked.add(report.sinceAsked);
    this.#now.add(report.sinceAsked);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #point(): Promise<void> {
    const delay = this.#now.summary();
    const point: TimelinePoint = {
      at: (performance.now() - this.#began) / 1000,
      connected: this.connected,
      events: this.#events,
      tallyFrames: this.#frames,
      p50: delay?.p50,
      p99: delay?.p99,
      memory: undefined,
      cores: undefined,
      databaseCores: undefined,
    };
    this.#events = this.#frames = 0;
    this.#now.reset();
    this.points.push(point);
    if (!this.#measure || this.#measuring) return;
    this.#measuring = true;
    const at = performance.now();
    const usage = await this.#measure();
    this.#measuring = false;
    if (this.#used) {
      const span = at - this.#used.at;
      // A process that has ended takes what it used out of the sum.
      point.cores = Math.max(0, usage.server.cpu - this.#used.server.cpu) / span;
      point.databaseCores = Math.max(0, usage.database.cpu - this.#used.database.cpu) / span;
    }
    point.memory = usage.server.memory;
    this.#used = { at, ...usage };
  }
}
