import './connection-attempts.ts';
import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { STOP, STOP_AT_ONCE } from './cluster/stop-message.ts';
import type { ListeningMessage } from './cluster/primary.ts';
import type { WorkerSlot } from './cluster/sticky-sessions.ts';
import { readCommandLine, requireNoArguments } from './command-line.ts';
import { type Config, ConfigError, readConfig, variableNames } from './config.ts';
import { describeDatabase } from './config/connection-config.ts';
import { isComingUp, reasonOf } from './database/connection.ts';
import { type EmbeddedPostgres, startEmbedded } from './database/embedded.ts';
import { migrate, MIGRATION_CONNECTIONS } from './database/migrate.ts';
import { refuseTransactionPooling } from './database/pooler.ts';
import { requireUsableDatabase } from './database/requirements.ts';
import { migrateForService, requireSameDatabase } from './database/service-grants.ts';
import { fileLimitFault } from './file-limit.ts';
import { beginCheck } from './library-internals/self-check.ts';
import { createLogger, type Logger } from './logger.ts';
import { makeFolder } from './async/make-folder.ts';
import { Shutdown } from './shutdown.ts';
import { STOP_SIGNALS } from './stop-signals.ts';

/** EX_CONFIG of sysexits.h. */
const EXIT_CONFIG = 78;
/** Over how long the clients are drained. Milliseconds. */
const DRAIN_SPREAD = 3000;
/** How long a database that is just starting is waited for. Milliseconds. */
const DATABASE_TIME_LIMIT = 15_000;
/** Connections that the embedded database allows beyond those of the workers, for tools and for its own. */
const SPARE_CONNECTIONS = 30;

/** Something that runs until it is told to stop. */
interface Running {
  url: string;
  stop(): Promise<void>;
}

const usage = `Usage: npm start

Runs the service until a signal ends it. All settings are environment variables, or lines in .env: see README.md.
`;

const loadServer = () => import('./server.ts');

/** Loads what serves, and tries what it uses of its libraries, while the database answers. */
function loadAhead({ fastPaths, dataDir }: Readonly<Config>): void {
  void beginCheck(fastPaths, dataDir).catch(() => undefined);
  void loadServer().catch(() => undefined);
}

/** Runs until a signal ends it; writes why it cannot and exits with 78 if the configuration is at fault, 1 otherwise. */
export function runProgram(): void {
  readCommandLine(usage, requireNoArguments);
  main().catch((error: unknown) => {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1);
  });
}

async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  if (cluster.isWorker) delete process.env.MIGRATION_DATABASE_URL;
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel);
  const shutdown = new Shutdown(log, config.shutdownDelay);
  if (cluster.isWorker) {
    await work(config, log, shutdown);
    return;
  }
  // Not for workers, which have the same variables.
  const { misspelt } = await import('./config/misspelt.ts');
  for (const slip of misspelt(process.env, variableNames)) log.warn(slip);
  const fewFiles = await fileLimitFault(config.maxConnections);
  if (fewFiles !== undefined) log.warn(fewFiles);
  for (const signal of STOP_SIGNALS) process.on(signal, () => shutdown.begin({ signal }));
  const running = await begin(config, log, shutdown);
  if (!shutdown.stopWith(() => running.stop())) process.stdout.write(`Tidings is ready at ${running.url}\n`);
}

/** The whole service: its database, brought up to date, and one process or several. */
async function begin(config: Readonly<Config>, log: Logger, shutdown: Shutdown): Promise<Running> {
  const say = (message: string, extra: object = {}) => log.info(extra, message);
  // Its key, or its database, is kept there.
  if (config.databaseUrl === undefined || config.jwtSecrets.length === 0) await requireFolder(config.dataDir);
  const count = config.workers === 'auto' ? availableParallelism() : config.workers;
  if (count === 1) loadAhead(config);
  let embedded: EmbeddedPostgres | undefined;
  if (config.databaseUrl === undefined) {
    const connections = count * config.connectionsPerProcess + SPARE_CONNECTIONS;
    embedded = await startEmbedded({
      dataDir: config.dataDir,
      settings: { max_connections: String(Math.max(100, connections)) },
      log: say,
    });
    const server = embedded;
    shutdown.neverWithout(
      () => server.stop(),
      () => server.pid,
    );
  }
  const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
  try {
    const connections = count * config.connectionsPerProcess;
    await migrateWhenUp({ databaseUrl, migrationUrl: config.migrationDatabaseUrl, connections }, say);
    // Workers inherit the environment, and have no use for it.
    delete process.env.MIGRATION_DATABASE_URL;
    const service = await serve(config, log, databaseUrl, count, shutdown);
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

async function requireFolder(dataDir: string): Promise<void> {
  try {
    await makeFolder(dataDir);
  } catch (error) {
    throw new ConfigError(`DATA_DIR must be a folder, or one that can be made: ${(error as Error).message}`);
  }
}

async function serve(
  config: Readonly<Config>,
  log: Logger,
  databaseUrl: string,
  count: number,
  shutdown: Shutdown,
): Promise<Running> {
  if (count > 1) {
    const { startWorkers } = await import('./cluster/primary.ts');
    const { serveLimits } = await import('./limits/primary-store.ts');
    const workers = await startWorkers({
      count,
      log,
      env: { DATABASE_URL: databaseUrl },
      relay: config.redis === undefined,
      serve: serveLimits,
    });
    shutdown.neverWithout(() => workers.stop(0));
    return { url: workers.url, stop: () => workers.stop(config.shutdownDelay) };
  }
  const { startServer } = await loadServer();
  const server = await startServer(config, databaseUrl, log);
  return { url: server.url, stop: () => server.stop(DRAIN_SPREAD) };
}

/**
 * Brings the schema up to date. A server that is not ready, because it starts, stops, recovers or is too busy to answer, is
 * waited for; one that cannot be found or refuses us is a fault at once.
 */
async function migrateWhenUp(
  {
    databaseUrl,
    migrationUrl,
    connections,
  }: { databaseUrl: string; migrationUrl: string | undefined; connections: number },
  say: (message: string, extra?: object) => void,
): Promise<void> {
  for (const deadline = Date.now() + DATABASE_TIME_LIMIT; ;) {
    let used = databaseUrl;
    try {
      await refuseTransactionPooling(databaseUrl);
      if (migrationUrl !== undefined) {
        used = migrationUrl;
        await refuseTransactionPooling(migrationUrl, { variable: 'MIGRATION_DATABASE_URL' });
        await requireSameDatabase(migrationUrl, databaseUrl);
        await requireUsableDatabase(migrationUrl, MIGRATION_CONNECTIONS);
        await migrateForService(migrationUrl, databaseUrl, say);
        used = databaseUrl;
      }
      // Last, since a service that owns nothing reaches the schema by what it was just granted.
      await requireUsableDatabase(databaseUrl, connections);
      if (migrationUrl === undefined) await migrate(databaseUrl, say);
      return;
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const reason = reasonOf(error);
      if (!isComingUp(error) || Date.now() > deadline) {
        const variable = used === databaseUrl ? '' : 'MIGRATION_DATABASE_URL: ';
        throw new Error(`${variable}${describeDatabase(used)} cannot be used: ${reason}`, { cause: error });
      }
      say('waiting for the database', { reason });
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

/** One of several processes behind one port. Its primary tells it when to stop, and a signal to the group is for that one. */
async function work(config: Readonly<Config>, log: Logger, shutdown: Shutdown): Promise<void> {
  for (const signal of STOP_SIGNALS) process.on(signal, () => undefined);
  const slot = JSON.parse(process.env.TIDINGS_WORKER_SLOT ?? '') as WorkerSlot;
  loadAhead(config);
  const started = loadServer().then(({ startServer }) =>
    startServer(config, config.databaseUrl ?? '', log, slot),
  );
  let delay = config.shutdownDelay;
  shutdown.stopWith(async () => (await started).stop(DRAIN_SPREAD, delay));
  process.on('message', (message) => {
    if (message === STOP_AT_ONCE) delay = 0;
    if (message === STOP || message === STOP_AT_ONCE)
      shutdown.begin({ reason: 'the primary process is stopping' });
  });
  // The primary is gone, and with it the port. Node's own listener would exit.
  process.prependListener('disconnect', () => {
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
    delay = 0;
    shutdown.begin({ reason: 'the primary process has exited' });
  });
  const { url } = await started;
  process.send?.({ type: 'tidings:listening', url } satisfies ListeningMessage);
}
