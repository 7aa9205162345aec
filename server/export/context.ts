import type { Config } from '../config.ts';
import type { Database } from '../database/connection.ts';
import type { WriteMonitor } from '../database/write-monitor.ts';
import type { Connections } from '../delivery/connections.ts';
import type { Identity } from '../identity.ts';
import type { RateLimits } from '../limits/rate-limits.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Exports } from './exports.ts';

/** What the request for an export uses. */
export interface ExportContext {
  config: Pick<Config, 'serviceUrl'>;
  db: Database;
  writes: Pick<WriteMonitor, 'refusal'>;
  exports: Exports;
  connections: Pick<Connections, 'add' | 'remove'>;
  liveSessions: {
    /** @throws {AppError} 401 if the session has ended */
    require: (
      identity: Identity,
      options: { fresh: boolean; senders: () => readonly string[] },
    ) => Promise<void>;
  };
  /** Counts a request. @throws {AppError} 429 */
  countRequest: RateLimits['count'];
  log: Logger;
  metrics: Pick<Metrics, 'exports'>;
}
