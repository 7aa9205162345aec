import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createApp } from './app.ts';
import type { Config } from './config.ts';
import { createService, type Service } from './context.ts';
import type { Logger } from './logger.ts';

export interface RunningServer {
  /** Where it listens, with the port that it was given. */
  url: string;
  service: Service;
  /**
   * Not ready from here on, no new connection; tells the clients to leave, spread over so many milliseconds; lets
   * requests in flight finish; closes everything.
   */
  stop(spread: number): Promise<void>;
}

/** How long requests in flight may take to finish when the server stops. Milliseconds. */
const LAST_REQUESTS = 3000;

/** Starts one node on a migrated database and listens. Resolves when it is ready to serve. */
export async function startServer(
  config: Readonly<Config>,
  databaseUrl: string,
  log: Logger,
): Promise<RunningServer> {
  // Node's own limits are minutes long: a hundred slow requests would hold a hundred connections for that long.
  const http = createServer({ headersTimeout: 10_000, requestTimeout: 15_000, maxHeaderSize: 16 * 1024 });
  const service = await createService(config, databaseUrl, http, log);
  let draining = false;
  const app = createApp(service.ctx, { checks: service.checks, draining: () => draining });
  http.on('request', (req, res) => {
    // Socket.IO answers its own path.
    if (!req.url?.startsWith('/socket.io/')) app(req, res);
  });
  try {
    await service.start();
    await listen(http, config);
  } catch (error) {
    await service.close();
    throw error;
  }
  const { port } = http.address() as AddressInfo;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  return {
    url: `http://${host}:${port}`,
    service,
    stop: async (spread) => {
      draining = true;
      await service.gateway.drain(service.gateway.size > 0 ? spread : 0);
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeIdleConnections();
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LAST_REQUESTS).unref())]);
      http.closeAllConnections();
      await service.close();
    },
  };
}

function listen(http: Server, config: Readonly<Config>): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(config.port, config.host, () => {
      http.off('error', reject);
      resolve();
    });
  });
}
