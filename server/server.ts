import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createApp } from './app.ts';
import { clusterMetrics, offerMetrics } from './cluster/metrics.ts';
import { stickyServer, type WorkerSlot } from './cluster/sticky-sessions.ts';
import type { Config } from './config.ts';
import { boundConnections } from './limits/address-connections.ts';
import { endWithProblem } from './http/bare-problem.ts';
import { proxyTrust } from './http/client-address.ts';
import { watchConnections } from './http/open-connections.ts';
import { serveInTurn } from './http/pipelining.ts';
import { answerMalformed } from './http/malformed-requests.ts';
import { UpgradableRequest } from './http/upgrades.ts';
import { createService, type Service } from './service.ts';
import { type AppError, unavailable } from './errors.ts';
import { SPARE_CONNECTIONS } from './file-limit.ts';
import type { Logger } from './logger.ts';
import { TIME_LIMITS, type TimeLimits } from './time-limits.ts';

export interface RunningServer {
  /** Where it listens, with the port that it was given. */
  url: string;
  service: Service;
  /**
   * Graceful shutdown. Not ready from now on; serves for another while, so that load balancers notice; then refuses new
   * sockets, drains the clients, lets requests in flight finish, and closes everything.
   * @param spread over how long the clients are drained. Milliseconds
   * @param delay for how long it continues serving, if not for `shutdownDelay`. Milliseconds
   */
  stop(spread: number, delay?: number): Promise<void>;
}

/**
 * How long requests in flight may take to finish, and clients to read the answers, when the server stops. Milliseconds.
 */
const LAST_REQUESTS = 3000;

/**
 * Starts one node on a migrated database and listens. Resolves when it is ready to serve.
 * @param slot the worker slot of this process, if there are several workers
 */
export async function startServer(
  config: Readonly<Config>,
  databaseUrl: string,
  log: Logger,
  slot?: WorkerSlot,
  timeLimits: Readonly<TimeLimits> = TIME_LIMITS,
): Promise<RunningServer> {
  // Node's own limits are minutes long: a hundred slow requests would hold a hundred connections for that long.
  // An idle connection, though, is kept for longer than a proxy keeps its end (nginx: 60 s): else the proxy would send a
  // request into one that is just being closed.
  const limits = {
    headersTimeout: timeLimits.headers,
    requestTimeout: timeLimits.request,
    // How often the two are looked at. Every thirty seconds, as Node does by itself, lets a slow request have three times as long.
    connectionsCheckingInterval: Math.min(1000, timeLimits.headers),
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16 * 1024,
    // A request without a host is refused in app.ts, with a problem: Node's own answer has no body.
    requireHostHeader: false,
    IncomingMessage: UpgradableRequest,
  };
  const http: Server = createServer(limits);
  const service = await createService(config, databaseUrl, http, log, slot, timeLimits);
  let draining = false;
  let isPortClosed = false;
  const app = createApp(service.ctx, {
    checks: service.checks,
    draining: () => draining,
    ...(slot ? { readMetrics: clusterMetrics(service.ctx.metrics.registry) } : {}),
  });
  // Beyond its start: too many open files, for one.
  const onServerError = (error: Error) => log.error({ err: error }, 'HTTP server error');
  http.on('error', onServerError);
  http.on('request', (req, res) => {
    // A connection that breaks while it is written to: anyone who writes learns it from the end of the response.
    res.on('error', ignore);
    // Its connection is not for the next request.
    if (draining) res.setHeader('Connection', 'close');
    // Socket.IO answers its own path.
    if (req.url?.startsWith('/socket.io/')) {
      beginForSocketIo(req, res);
      return;
    }
    service.ctx.pendingResponses.begin(res);
    // A request on a kept-alive connection: the client must open a new one, to another node.
    if (isPortClosed) endWithProblem(res, closing());
    else app(req, res);
  });
  const beginForSocketIo = (req: IncomingMessage, res: ServerResponse) =>
    service.ctx.pendingResponses.beginUncounted(res, () => service.gateway.sendersOf(req));
  const countUnreadable = (status: number) => service.ctx.metrics.unreadable.inc({ status: String(status) });
  answerMalformed(http, countUnreadable);
  let front = http;
  let closePort: () => Promise<void>;
  let endConnections: () => void;
  try {
    await service.start();
    if (slot) {
      front = await stickyServer(http, slot, limits, (req, res) => {
        if (res instanceof ServerResponse) beginForSocketIo(req, res);
        return service.gateway.refused(req, res);
      });
      front.on('error', onServerError);
      answerMalformed(front, countUnreadable);
    }
    closePort = serveInTurn(front);
    endConnections = watchConnections(...new Set([http, front]));
    front.maxConnections = config.maxConnections + SPARE_CONNECTIONS;
    const { connectionLimits, metrics } = service.ctx;
    const trusts = proxyTrust(config.trustProxy);
    front.on('drop', () => metrics.tcpRefused.inc({ reason: 'full' }));
    boundConnections(front, {
      most: connectionLimits.connectionsPerAddress(front.maxConnections),
      isProxy: (address) => trusts(address, 0),
      onRefused: (address) => {
        metrics.tcpRefused.inc({ reason: 'address' });
        connectionLimits.warnOf(address);
      },
    });
    await listen(front, config);
    if (slot) offerMetrics();
  } catch (error) {
    await service.close();
    throw error;
  }
  const { port, address } = front.address() as AddressInfo;
  service.ctx.guard.listensOn(address);
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  return {
    url: `http://${host}:${port}`,
    service,
    stop: async (spread, delay = config.shutdownDelay) => {
      draining = true;
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      await service.dismiss(spread);
      isPortClosed = true;
      await Promise.race([closePort(), new Promise((resolve) => setTimeout(resolve, LAST_REQUESTS).unref())]);
      endConnections();
      await service.close();
    },
  };
}

function closing(): AppError {
  return unavailable('The node is shutting down. Try again on a new connection.', 1, {
    headers: { Connection: 'close' },
  });
}

function ignore(): void {
  // Deliberately nothing.
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
