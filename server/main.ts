import { ConfigError, readConfig } from './config.ts';
import { type EmbeddedPostgres, startEmbedded } from './database/embedded.ts';
import { migrate } from './database/migrate.ts';
import { createLogger } from './logger.ts';
import { startServer } from './server.ts';

/** EX_CONFIG of sysexits.h. */
const EXIT_CONFIG = 78;
/** Over how long the clients are told to leave, and how long all of it may take. Milliseconds. */
const DRAIN_SPREAD = 3000;
const SHUTDOWN_LIMIT = 9500;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel);
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'unhandled rejection');
    process.exit(1);
  });
  const say = (message: string, extra: object = {}) => log.info(extra, message);

  // A signal during the start ends it as soon as there is something to end in order.
  const running: { stop?: () => Promise<void> } = {};
  let stopping = false;
  const onSignal = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'shutting down');
    setTimeout(() => {
      log.error('the shutdown took too long');
      process.exit(1);
    }, SHUTDOWN_LIMIT).unref();
    if (running.stop) exitAfter(running.stop());
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  let embedded: EmbeddedPostgres | undefined;
  if (config.databaseUrl === undefined) embedded = await startEmbedded({ dataDir: config.dataDir, log: say });
  const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
  await migrate(databaseUrl, say);
  const server = await startServer(config, databaseUrl, log);
  running.stop = async () => {
    await server.stop(DRAIN_SPREAD);
    await embedded?.stop();
  };
  if (stopping) exitAfter(running.stop());
  else process.stdout.write(`Tidings is ready at ${server.url}\n`);
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
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1);
});
