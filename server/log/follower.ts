import type pg from 'pg';
import { about } from '../async/loop.ts';
import { Pause } from '../async/pause.ts';
import type { Tally } from '../protocol.ts';
import type { Logger } from '../logger.ts';
import { LogHoles } from './log-holes.ts';
import { type Head, type LogEntry, openFeed, PAGE_ROWS, readLog, type Seen } from './reader.ts';
import { RingBuffer } from './ring-buffer.ts';
import { type RevocationRow, readTail, TAIL_LIMITS, type TailLimits } from './tail.ts';
import type { PositionStore } from './position-store.ts';

/** A batch as one node hands it to the others. */
export interface Batch {
  epoch: string;
  entries: LogEntry[];
}

export interface FollowerOptions {
  pool: pg.Pool;
  log: Logger;
  /** The interval of polling the log in milliseconds; a function, since it depends on the health of Redis. */
  interval: () => number;
  ring?: { entries: number; bytes: number };
  /** How many changed tallies and revocations one poll lists one by one. */
  limits?: TailLimits;
  /** Asked before each look at the log: while the tables are away nothing is read. */
  mayRead?: () => boolean;
  /** Called after each successful read of the database. */
  onRead?: () => void;
  /** Called for each read that failed. */
  onFailed?: (error: unknown) => void;
}

/** The events of a follower. All listeners are called synchronously, in seq order, and must not throw. */
export interface FollowerEvents {
  events: (entries: readonly LogEntry[]) => void;
  tallies: (tallies: readonly Tally[]) => void;
  revocations: (revocations: readonly RevocationRow[]) => void;
  /**
   * More tallies changed than are sent one by one, as an import or a recount does: read again what your clients show.
   */
  tooManyTallies: () => void;
  /** More sessions ended than are sent one by one: ask the database for each session that you hold. */
  tooManyRevocations: () => void;
  /** The log has been read up to where it stood when the read began: `knownAt` says when. */
  read: () => void;
  /** The database is another one: positions of the old epoch mean nothing any more. */
  epoch: (head: Head) => void;
}

/** How often the log is read in any case: with a fast path, and without one. Milliseconds. */
const INTERVAL = 250;
const INTERVAL_ALONE = 100;

/**
 * Until the log is read again, in milliseconds: not the same for all nodes, which would otherwise ask at the same moment.
 * @param alone whether nothing but the log brings what other nodes have numbered
 */
export function readInterval(alone: boolean): number {
  return about(alone ? INTERVAL_ALONE : INTERVAL);
}

/** For how long the log may not have been read until somebody has to know. Milliseconds. */
const TIME_LIMIT = 5000;

/** The maximum number of early events that are kept while the gap before them is read, and of their characters. */
const MAX_EARLY = 2000;
const MAX_EARLY_CHARACTERS = 8 * 1024 * 1024;
/** How long the log is read before the revocations are looked at again. Milliseconds. */
export const READ_SLICE = 250;

/**
 * The node's ordered feed. Batches arrive early from the node's own sequencer, or over Redis from another node's, in
 * any order, duplicated or not at all; the log in PostgreSQL is the source of truth. The follower has one cursor and
 * accepts only what follows it: a batch that overlaps is cut, one that is early waits while the gap before it is read,
 * and at every tick the log is polled from the cursor. So Redis decides when an event arrives, never whether or in
 * which order.
 *
 * Every poll is bounded, whatever one transaction did. The log is read in pages, for at most 250 ms before the
 * revocations are read again. Changed tallies and revocations are listed one by one up to a limit; beyond it listeners
 * only learn that there are too many, and read what their own clients need.
 */
export class Follower {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #interval: () => number;
  readonly #ringSize: { entries: number; bytes: number };
  readonly #listeners: { [N in keyof FollowerEvents]: FollowerEvents[N][] } = {
    events: [],
    tallies: [],
    revocations: [],
    tooManyTallies: [],
    tooManyRevocations: [],
    read: [],
    epoch: [],
  };
  #epoch = '';
  #ring: RingBuffer;
  #early: LogEntry[][] = [];
  readonly #limits: TailLimits;
  /** The snapshot of the last look: what it could not see is read next. */
  #seen: string | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #woken = false;
  readonly #pause = new Pause();
  #readAt = 0;
  #knownAt = -Infinity;
  #databaseHead = 0;
  /** How far the database's write-ahead log was on disk when the log was last read. Bytes. */
  #wal: number | undefined;
  #floor = 0;
  readonly #holes: LogHoles;
  readonly #mayRead: () => boolean;
  readonly #onRead: () => void;
  readonly #positionStores: PositionStore[] = [];
  readonly #onFailed: (error: unknown) => void;
  #recheck = false;
  #awaitingReopen: (() => void)[] = [];

  constructor({
    pool,
    log,
    interval,
    ring = { entries: 20_000, bytes: 32 * 1024 * 1024 },
    limits = TAIL_LIMITS,
    mayRead = () => true,
    onRead = () => undefined,
    onFailed = () => undefined,
  }: FollowerOptions) {
    this.#mayRead = mayRead;
    this.#onRead = onRead;
    this.#onFailed = onFailed;
    this.#pool = pool;
    this.#holes = new LogHoles(pool, log);
    this.#log = log;
    this.#interval = interval;
    this.#ringSize = ring;
    this.#limits = limits;
    this.#ring = new RingBuffer(0, ring.entries, ring.bytes);
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** The node's position: all events up to here have been passed to the listeners. */
  get seq(): number {
    return this.#ring.last;
  }

  /**
   * When the last read of the database that succeeded began, in milliseconds since 1970: which numbering it has, and
   * which sessions had ended, is known as of then. Not all events: see `knownAt`.
   */
  get readAt(): number {
    return this.#readAt;
  }

  /**
   * When the last read began that reached the head of the log, by `performance.now()`: what had a number by then has
   * been passed to the listeners. A node that is far behind reads for long before it gets there.
   */
  get knownAt(): number {
    return this.#knownAt;
  }

  /** Why this node serves old events, if it does. */
  get stall(): string | undefined {
    return Date.now() - this.#readAt > TIME_LIMIT ? 'The log has not been read for five seconds.' : undefined;
  }

  /** How many events the log was ahead of this node when it was last read. */
  get lag(): number {
    return Math.max(0, this.#databaseHead - this.seq);
  }

  /** The position after which the log can serve everything; what is older has been pruned, or lies before a hole. */
  get logFloor(): number {
    return Math.max(this.#floor, this.#holes.end);
  }

  /**
   * Whether the log has every event after a position: see `LogHoles`.
   * @param confirmTables throws while the tables are away, as during a restore: an empty table is no hole
   * @throws if the log cannot be read, or it takes longer than others can wait: what was counted need not be again
   */
  isWhole(after: number, confirmTables: () => Promise<void>): Promise<boolean> {
    return this.#holes.isWhole(after, () => this.logFloor, confirmTables);
  }

  on<N extends keyof FollowerEvents>(name: N, listener: FollowerEvents[N]): void {
    this.#listeners[name].push(listener);
  }

  /** At most `limit` events after a position out of memory; undefined if they have to be read from the log. */
  recent(after: number, limit?: number): LogEntry[] | undefined {
    return this.#ring.after(after, limit);
  }

  /** All events in memory. */
  get remembered(): LogEntry[] {
    return this.#ring.after(this.#ring.floor) ?? [];
  }

  /**
   * An event that was read from the log a while ago, without a text that an event has taken out which this node has
   * passed since. That holds as long as `hasPassedSince` does for the position of the node when it was read.
   */
  current(entry: LogEntry): LogEntry {
    return this.#ring.current(entry);
  }

  /** Whether all that this node has passed since a position is still in memory. */
  hasPassedSince(position: number): boolean {
    return position >= this.#ring.floor;
  }

  /** An event out of memory; undefined if it is not there any more. */
  entryAt(seq: number): LogEntry | undefined {
    return this.#ring.at(seq);
  }

  /** Before it starts. */
  addPositionStore(positionStore: PositionStore): void {
    this.#positionStores.push(positionStore);
  }

  /** Checks a position that was delivered to clients against the log. @throws if the database does not answer */
  async check(seen: Seen): Promise<void> {
    const head = await openFeed(this.#pool, seen);
    if (head.epoch !== this.#epoch) this.recheck();
  }

  /** Takes the present position and warms the ring. Nothing may be served before this is done. */
  async start(): Promise<void> {
    const began = Date.now();
    const known = performance.now();
    let head = await openFeed(this.#pool);
    // What was told before this start: a log that is shorter was restored meanwhile.
    for (const positionStore of this.#positionStores)
      for (const seen of await positionStore.read()) {
        const { epoch } = head;
        head = await openFeed(this.#pool, seen);
        if (head.epoch !== epoch)
          this.#log.warn(
            { told: seen, to: head },
            'the database was restored to a state before events that clients have received',
          );
      }
    const tail = await readTail(this.#pool, undefined);
    this.#seen = tail.snapshot;
    this.#epoch = head.epoch;
    const from = Math.max(head.floor, head.seq - Math.min(this.#ringSize.entries, 2000));
    this.#ring = new RingBuffer(from, this.#ringSize.entries, this.#ringSize.bytes);
    while (this.#ring.last < head.seq) {
      const { last } = this.#ring;
      const page = await readLog(this.#pool, last, PAGE_ROWS);
      const next = page[0]?.seq ?? head.seq + 1;
      if (next > last + 1) {
        const now = await openFeed(this.#pool);
        // Pruned under it: what is left begins later.
        if (now.epoch !== head.epoch || now.floor > last) return this.start();
        this.#holes.pass(last, next);
        // Unless a batch of another node has led past it meanwhile.
        if (this.#ring.last < next - 1)
          this.#ring = new RingBuffer(next - 1, this.#ringSize.entries, this.#ringSize.bytes);
      }
      // A batch of another node may have come while the page was read.
      for (const entry of page) if (entry.seq === this.#ring.last + 1) this.#ring.push(entry);
    }
    this.#databaseHead = head.seq;
    this.#floor = head.floor;
    this.#holes.begin(this.#ring.floor);
    this.#readAt = began;
    this.#knownAt = known;
    this.#wal = tail.wal ?? undefined;
    this.#keep();
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pause.end();
    await this.#running;
    // What it wrote itself since the last look is known to the next start as well.
    if (this.stall === undefined) await this.#noteWal().catch(() => undefined);
    await Promise.all(this.#positionStores.map((positionStore) => positionStore.close()));
  }

  /** The connections lead to another server than before: is it still the same log? */
  recheck(): void {
    this.#recheck = true;
    this.wake();
  }

  /** Resolves when a look that begins from now on has found out whether it is still the same log, and read on. */
  reopened(): Promise<void> {
    this.recheck();
    return new Promise((resolve) => this.#awaitingReopen.push(resolve));
  }

  /** Something may be in the log that no batch will bring: look now. */
  wake(): void {
    this.#woken = true;
    this.#pause.end();
  }

  /** A batch that arrived early, from this node's sequencer or over Redis. */
  offer(batch: Batch): void {
    // It comes from outside the process: if it is not valid, the log is read instead.
    if (batch.epoch !== this.#epoch || !batch.entries.every(isEntry)) {
      this.wake();
      return;
    }
    this.#take(batch.entries);
  }

  #take(entries: LogEntry[]): void {
    const first = entries[0];
    if (!first) return;
    if (first.seq > this.seq + 1) {
      const early = [...this.#early, entries].flat();
      const characters = early.reduce((sum, { json }) => sum + json.length, 0);
      if (early.length <= MAX_EARLY && characters <= MAX_EARLY_CHARACTERS) this.#early.push(entries);
      this.wake();
      return;
    }
    this.#advance(entries);
    // What came early may follow now.
    for (let progress = true; progress && this.#early.length > 0;) {
      progress = false;
      for (const early of this.#early.splice(0)) {
        const next = early[0];
        if (next && next.seq <= this.seq + 1) {
          this.#advance(early);
          progress = true;
        } else this.#early.push(early);
      }
    }
  }

  #advance(entries: LogEntry[]): void {
    const fresh: LogEntry[] = [];
    for (const entry of entries) {
      const next = this.seq + fresh.length + 1;
      if (entry.seq < next) continue;
      if (entry.seq > next) {
        // Batches of other nodes come from outside the process: where one has a hole, the log has the rest.
        this.wake();
        break;
      }
      fresh.push(entry);
    }
    if (fresh.length === 0) return;
    for (const entry of fresh) this.#ring.push(entry);
    this.#keep();
    for (const listener of this.#listeners.events) listener(fresh);
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopped) {
      if (!this.#woken)
        await this.#pause.for(failures > 0 ? Math.min(1000, 100 * failures) : this.#interval());
      if (this.#stopped) return;
      this.#woken = false; // before reading: what commits during the read must still wake us
      if (!this.#mayRead()) {
        this.#recheck = true; // what comes back may be another log
        continue;
      }
      const awaiting = this.#awaitingReopen.splice(0);
      try {
        if (failures > 0 || this.#recheck) {
          this.#recheck = false;
          await this.#reopen(); // the connection was lost: is it still the same database?
        }
        await this.#read();
        failures = 0;
        for (const done of awaiting) done();
      } catch (error) {
        failures += 1;
        this.#awaitingReopen.push(...awaiting);
        this.#onFailed(error);
        if (failures === 1) this.#log.warn({ err: error }, 'the log cannot be read; retrying');
      }
    }
  }

  async #read(): Promise<void> {
    const seen = this.seq; // batches continue arriving while the database is asked
    const began = Date.now();
    const known = performance.now();
    const tail = await readTail(this.#pool, this.#seen, this.#limits);
    const wentBack = tail.wal !== null && tail.wal < (this.#wal ?? 0);
    if (!tail.here || tail.epoch !== this.#epoch || tail.seq < seen || wentBack) {
      await this.#reopen();
      return;
    }
    this.#databaseHead = tail.seq;
    this.#floor = tail.floor;
    if (tail.wal !== null && tail.wal !== this.#wal) {
      this.#wal = tail.wal;
      this.#keep();
    }
    if (tail.revocations.length > 0)
      for (const listener of this.#listeners.revocations) listener(tail.revocations);
    if (tail.tooManyRevocations) for (const listener of this.#listeners.tooManyRevocations) listener();
    if (tail.tallies.length > 0) for (const listener of this.#listeners.tallies) listener(tail.tallies);
    if (tail.tooManyTallies) for (const listener of this.#listeners.tooManyTallies) listener();
    this.#seen = tail.snapshot;
    while (this.seq < tail.seq) {
      const page = await readLog(this.#pool, this.seq, PAGE_ROWS);
      const first = page[0];
      if (!first && this.seq >= tail.seq) break;
      if (!first || first.seq > this.seq + 1) {
        // Pruned under a node that slept for longer than the retention: its clients have to start again, and so has it.
        const { seq, epoch } = this;
        const head = await openFeed(this.#pool);
        if (head.epoch === epoch && head.floor <= seq) this.#holes.pass(seq, first?.seq ?? tail.seq + 1);
        await this.#restart(head);
        return;
      }
      this.#take(page);
      if (this.seq < tail.seq && Date.now() - began > READ_SLICE) {
        this.wake();
        break;
      }
    }
    this.#readAt = began;
    this.#onRead();
    if (this.seq < tail.seq) return;
    this.#knownAt = known;
    for (const listener of this.#listeners.read) listener();
  }

  async #noteWal(): Promise<void> {
    const { rows } = await this.#pool.query<{ wal: number | null }>('select flushed_wal() as wal');
    this.#wal = rows[0]?.wal ?? this.#wal;
    this.#keep();
  }

  /** What it has seen of the log, and of the database. */
  get #reached(): Seen {
    const { seq } = this;
    return { epoch: this.#epoch, seq, at: this.#ring.after(seq - 1, 1)?.[0]?.at, wal: this.#wal };
  }

  #keep(): void {
    const reached = this.#reached;
    for (const positionStore of this.#positionStores) positionStore.keep(reached);
  }

  async #reopen(): Promise<void> {
    const head = await openFeed(this.#pool, this.#reached);
    if (head.epoch !== this.#epoch) await this.#restart(head);
  }

  /** Continues from another position and announces it: listeners must not take what follows for a continuation. */
  async #restart(head: Head): Promise<void> {
    const tail = await readTail(this.#pool, undefined);
    const isSame = head.epoch === this.#epoch;
    this.#log.warn(
      { from: { epoch: this.#epoch, seq: this.seq }, to: head },
      isSame
        ? 'the log does not have what follows: the feed restarts at the head'
        : 'the numbering has changed: the feed restarts at the new head',
    );
    this.#seen = tail.snapshot;
    if (!isSame) this.#holes.forget();
    this.#holes.begin(head.seq);
    this.#epoch = head.epoch;
    this.#early = [];
    this.#ring = new RingBuffer(head.seq, this.#ringSize.entries, this.#ringSize.bytes);
    this.#databaseHead = head.seq;
    this.#floor = head.floor;
    this.#wal = tail.wal ?? undefined;
    this.#keep();
    for (const listener of this.#listeners.epoch) listener(head);
  }
}

/** One of a node of the version before lacks some of it. */
function isEntry({
  seq,
  name,
  entityType,
  entityId,
  audience,
  topics,
  redaction,
  json,
  at,
  authorId,
  containerType,
  containerId,
  erasesContainer,
  departure,
  relation,
}: LogEntry): boolean {
  return (
    [name, entityType, audience, json].every(isString) &&
    [topics, redaction].every((list: unknown) => Array.isArray(list) && list.every(isString)) &&
    [seq, entityId, at].every(Number.isFinite) &&
    [authorId, containerId].every((value) => value === null || Number.isFinite(value)) &&
    (containerType === null || isString(containerType)) &&
    typeof erasesContainer === 'boolean' &&
    [departure, relation].every((value: unknown) => typeof value === 'object')
  );
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}
