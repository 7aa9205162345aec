import cluster, { type Worker } from 'node:cluster';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setupPrimary } from '@socket.io/cluster-adapter';
import type { Logger } from '../logger.ts';
import { collectMetrics } from './metrics.ts';
import { STOP, STOP_AT_ONCE } from './stop-message.ts';

export interface WorkersOptions {
  count: number;
  log: Logger;
  /** Environment for the workers, beside our own. */
  env: Record<string, string>;
  /** Whether workers talk to each other through this process, because there is no Redis. */
  relay: boolean;
  /** Other services of the primary for its workers: called once, before the first worker is started. */
  serve: () => void;
}

/** Processes of one service behind one port. */
export interface Workers {
  /** Where they listen. */
  url: string;
  /**
   * Stops them gracefully; resolves when the last one has exited.
   * @param delay for how long they continue serving before they begin to end, if not at once. Milliseconds
   */
  stop(delay: number): Promise<void>;
}

/** A worker that exits, or cannot be started, is replaced, with backoff if that happens again and again. Milliseconds. */
const RESTART = { least: 100, most: 10_000, healthyAfter: 30_000 };
/** How long a worker may take to begin. Milliseconds. */
const START_LIMIT = 60_000;

/** What a worker says to the primary once it listens. */
export interface ListeningMessage {
  type: 'tidings:listening';
  url: string;
}

/** How often it is said again. Milliseconds. */
const STOP_AGAIN = 200;
/**
 * How long workers may take to exit before they are killed: what is stopped after them needs time, too. Milliseconds.
 */
const STOP_LIMIT = 8500;

/** Starts the workers and keeps their number. Resolves when all of them listen; rejects if one cannot. */
export async function startWorkers({ count, log, env, relay, serve }: WorkersOptions): Promise<Workers> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-'));
  if (relay) setupPrimary();
  collectMetrics();
  serve();
  const workers = new Map<number, Worker>();
  const timers = new Set<NodeJS.Timeout>();
  let stopping = false;
  let stopped: Promise<void> | undefined;

  const startWorker = async (number: number, failures: number): Promise<string> => {
    const began = Date.now();
    const startAgain = (why: object, message: string) => {
      if (stopping) return;
      const again = Date.now() - began > RESTART.healthyAfter ? 0 : failures + 1;
      const wait = Math.min(RESTART.most, RESTART.least * 2 ** again);
      log.error({ worker: number, ...why, wait }, message);
      const timer = setTimeout(() => {
        timers.delete(timer);
        if (!stopping) startWorker(number, again).catch(() => undefined);
      }, wait);
      timers.add(timer);
    };
    const notStarted = (err: unknown) => startAgain({ err }, 'a worker could not be started; trying again');
    let worker: Worker;
    try {
      worker = cluster.fork({ ...env, TIDINGS_WORKER_SLOT: JSON.stringify({ number, folder }) });
    } catch (error) {
      notStarted(error);
      throw error;
    }
    const isStarted = worker.process.pid !== undefined;
    if (isStarted) workers.set(number, worker);
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => worker.kill('SIGKILL'), START_LIMIT);
      worker.on('message', (message: Partial<ListeningMessage> | null) => {
        if (message?.type !== 'tidings:listening' || message.url === undefined) return;
        clearTimeout(limit);
        resolve(message.url);
      });
      worker.once('exit', (code, signal) => {
        clearTimeout(limit);
        reject(new Error(`worker ${number} exited with ${signal ?? code} before it was ready`));
        startAgain({ code, signal }, 'a worker exited; starting a new one');
      });
      if (!isStarted) {
        // The system has refused the process, with EAGAIN, say: there is no exit.
        worker.once('error', (error) => {
          clearTimeout(limit);
          reject(error);
          notStarted(error);
        });
      }
      worker.on('error', (err) => {
        if (isStarted) log.warn({ worker: number, err }, 'a message to a worker could not be sent');
      });
    });
  };

  const stop = (delay: number) => (stopped ??= stopAll(delay));
  const stopAll = async (delay: number) => {
    stopping = true;
    for (const timer of timers) clearTimeout(timer);
    const alive = [...workers.values()].filter((worker) => !worker.isDead());
    const message = delay > 0 ? STOP : STOP_AT_ONCE;
    const tell = () => {
      for (const worker of alive) if (worker.isConnected()) worker.send(message, () => undefined);
    };
    tell();
    // A worker that is still loading misses the message, since the cluster module has already consumed it.
    const again = setInterval(tell, STOP_AGAIN);
    const limit = setTimeout(() => {
      log.error('workers did not exit in time; killing them');
      for (const worker of alive) worker.process.kill('SIGKILL');
    }, delay + STOP_LIMIT);
    await Promise.all(alive.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
    clearInterval(again);
    clearTimeout(limit);
    await rm(folder, { recursive: true, force: true });
  };

  try {
    const [url = ''] = await Promise.all(Array.from({ length: count }, (_, at) => startWorker(at + 1, 0)));
    return { url, stop };
  } catch (error) {
    for (const worker of workers.values()) worker.kill('SIGKILL');
    await stop(0);
    throw error;
  }
}
