import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type ListeningMessage, startWorkers, STOP } from './cluster/primary.ts';
import type { Seat } from './cluster/seat.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { isComingUp } from './database/connection.ts';
import { describeDatabase } from './database/connection-config.ts';
import { type EmbeddedPostgres, startEmbedded } from './database/embedded.ts';
import { migrate } from './database/migrate.ts';
import { requireUsableDatabase } from './database/requirements.ts';
import { refuseTransactionPooling } from './database/pooler.ts';
import { serveLimits } from './limits/primary-store.ts';
import { createLogger, type Logger } from './logger.ts';
import { startServer } from './server.ts';

/** EX_CONFIG of sysexits.h. */
const EXIT_CONFIG = 78;
/** Over how long the clients are told to leave, and how long all of it may take. Milliseconds. */
const DRAIN_SPREAD = 3000;
const SHUTDOWN_LIMIT = 9500;
/** How long a database that is just starting is waited for. Milliseconds. */
const DATABASE_PATIENCE = 15_000;
/** Connections that the embedded database allows beyond those of the workers, for tools and for its own. */
const SPARE_CONNECTIONS = 30;

/** Something that runs until it is told to stop. */
interface Running {
  url: string;
  stop(): Promise<void>;
}

async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel);
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'unhandled rejection');
    process.exit(1);
  });
  if (cluster.isWorker) {
    await work(config, log);
    return;
  }
  const stopWith = onSignal(log, config.shutdownDelay);
  const running = await begin(config, log);
  if (!stopWith(() => running.stop())) process.stdout.write(`Tidings is ready at ${running.url}\n`);
}

/** The whole service: its database, brought up to date, and one process or several. */
async function begin(config: Readonly<Config>, log: Logger): Promise<Running> {
  const say = (message: string, extra: object = {}) => log.info(extra, message);
  const count = config.workers === 'auto' ? availableParallelism() : config.workers;
  let embedded: EmbeddedPostgres | undefined;
  if (config.databaseUrl === undefined) {
    const connections = count * config.connectionsPerProcess + SPARE_CONNECTIONS;
    embedded = await startEmbedded({
      dataDir: config.dataDir,
      settings: { max_connections: String(Math.max(100, connections)) },
      log: say,
    });
  }
  const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
  try {
    await migrateWhenUp(databaseUrl, count * config.connectionsPerProcess, say);
    const service = await serve(config, log, databaseUrl, count);
    return {
      url: service.url,
      stop: async () => {
        await service.stop();
        await embedded?.stop();
      },
    };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

async function serve(
  config: Readonly<Config>,
  log: Logger,
  databaseUrl: string,
  count: number,
): Promise<Running> {
  if (count > 1) {
    return startWorkers({
      count,
      log,
      env: { DATABASE_URL: databaseUrl },
      relay: config.redis === undefined,
      serve: serveLimits,
    });
  }
  const server = await startServer(config, databaseUrl, log);
  return { url: server.url, stop: () => server.stop(DRAIN_SPREAD) };
}

/**
 * Brings the schema up to date. A server that answers but is not ready, because it starts, stops or recovers, is waited
 * for; one that cannot be found or refuses us is a fault at once.
 */
async function migrateWhenUp(
  databaseUrl: string,
  connections: number,
  say: (message: string, extra?: object) => void,
): Promise<void> {
  for (const deadline = Date.now() + DATABASE_PATIENCE; ;) {
    try {
      await refuseTransactionPooling(databaseUrl);
      await requireUsableDatabase(databaseUrl, connections);
      await migrate(databaseUrl, say);
      return;
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const reason = reasonOf(error);
      if (!isComingUp(error) || Date.now() > deadline) {
        throw new Error(`${describeDatabase(databaseUrl)} cannot be used: ${reason}`, { cause: error });
      }
      say('waiting for the database', { reason });
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function reasonOf(error: unknown): string {
  // A name with several addresses fails with several errors and no message.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** One of several processes behind one port. Its primary tells it when to stop, and a signal to the group is for that one. */
async function work(config: Readonly<Config>, log: Logger): Promise<void> {
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const seat = JSON.parse(process.env.TIDINGS_SEAT ?? '') as Seat;
  const started = startServer(config, config.databaseUrl ?? '', log, seat);
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    limitShutdown(log, config.shutdownDelay);
    exitAfter(started.then((server) => server.stop(DRAIN_SPREAD)));
  };
  process.on('message', (message) => {
    if (message === STOP) stop();
  });
  // The primary is gone, and with it the port.
  process.on('disconnect', stop);
  const { url } = await started;
  process.send?.({ type: 'tidings:listening', url } satisfies ListeningMessage);
}

/**
 * Ends the service in order at SIGTERM and Ctrl-C.
 * @returns to be told how to stop once there is something to stop; answers whether that has already begun
 */
function onSignal(log: Logger, delay: number): (stop: () => Promise<void>) => boolean {
  let stopping = false;
  let stop: (() => Promise<void>) | undefined;
  const handle = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'shutting down');
    limitShutdown(log, delay);
    if (stop) exitAfter(stop());
  };
  process.on('SIGTERM', handle);
  process.on('SIGINT', handle);
  return (how) => {
    stop = how;
    if (stopping) exitAfter(stop());
    return stopping;
  };
}

/** @param delay for how long the node goes on serving first. Milliseconds */
function limitShutdown(log: Logger, delay: number): void {
  setTimeout(() => {
    log.error('the shutdown took too long');
    process.exit(1);
  }, delay + SHUTDOWN_LIMIT).unref();
}

function exitAfter(stopped: Promise<void>): void {
  stopped.then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`${reasonOf(error)}\n`);
  process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1);
});
