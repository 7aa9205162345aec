import { createServer } from 'node:http';
import { createApp } from './app.ts';
import { ConfigError, readConfig } from './config.ts';
import { createService } from './context.ts';
import { type EmbeddedPostgres, startEmbedded } from './database/embedded.ts';
import { migrate } from './database/migrate.ts';
import { createLogger } from './logger.ts';

/** EX_CONFIG of sysexits.h. */
const EXIT_CONFIG = 78;
/** How long the clients are told to leave in, and how long all of it may take. Milliseconds. */
const DRAIN_SPREAD = 3000;
const SHUTDOWN_LIMIT = 9000;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel);
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'unhandled rejection');
    process.exit(1);
  });

  let embedded: EmbeddedPostgres | undefined;
  const databaseUrl =
    config.databaseUrl ??
    (embedded = await startEmbedded({
      dataDir: config.dataDir,
      log: (message, extra) => log.info(extra ?? {}, message),
    })).url;
  await migrate(databaseUrl, (message, extra) => log.info(extra ?? {}, message));

  const http = createServer({ headersTimeout: 10_000, requestTimeout: 15_000, maxHeaderSize: 16 * 1024 });
  const service = await createService(config, databaseUrl, http, log);
  let draining = false;
  const app = createApp(service.ctx, { checks: service.checks, draining: () => draining });
  http.on('request', (req, res) => {
    // Socket.IO answers its own path.
    if (!req.url?.startsWith('/socket.io/')) app(req, res);
  });
  await service.start();
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(config.port, config.host, resolve);
  });
  const address = http.address();
  const port = typeof address === 'object' && address ? address.port : config.port;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  process.stdout.write(`Tidings is ready at http://${host}:${port}\n`);

  const shutDown = (signal: string) => {
    if (draining) return;
    draining = true;
    log.info({ signal }, 'shutting down');
    setTimeout(() => {
      log.error('the shutdown took too long');
      process.exit(1);
    }, SHUTDOWN_LIMIT).unref();
    void (async () => {
      await service.gateway.drain(service.gateway.size > 0 ? DRAIN_SPREAD : 0);
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeIdleConnections();
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 3000))]);
      http.closeAllConnections();
      await service.close();
      await embedded?.stop();
      process.exit(0);
    })();
  };
  process.on('SIGTERM', shutDown);
  process.on('SIGINT', shutDown);
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT_CONFIG);
  }
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
