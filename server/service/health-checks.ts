import type { Backlog } from '../log/backlog.ts';
import type { Follower } from '../log/follower.ts';
import { Degraded, type HealthCheck } from '../ops/health.ts';
import type { RedisParts } from '../redis.ts';
import type { DatabaseParts } from './database.ts';

export interface Checked extends Pick<DatabaseParts, 'db' | 'schema' | 'sessions' | 'writes'> {
  backlog: Pick<Backlog, 'length' | 'stall'>;
  feed: Pick<Follower, 'lag' | 'seq' | 'stall'>;
  redis: RedisParts | undefined;
}

/** What `/readyz` looks at. */
export function healthChecks(parts: Checked): HealthCheck[] {
  const { db, schema, sessions, writes, backlog, feed, redis } = parts;
  return [
    check('database', async () => {
      refuseIf(sessions.fault);
      if (schema.absence === undefined) await db.ping();
      return {};
    }),
    check('writes', async () => {
      refuseIf(schema.absence ?? (await writes.check()));
      return {};
    }),
    check('numbering', () => {
      refuseIf(backlog.stall);
      return { waiting: backlog.length };
    }),
    check('feed', () => {
      refuseIf(feed.stall);
      return { seq: feed.seq, lag: feed.lag };
    }),
    ...(redis
      ? [
          check(
            'redis',
            () => {
              refuseIf(redis.health.fault?.detail);
              return {};
            },
            false,
          ),
        ]
      : []),
  ];
}

type Details = Record<string, unknown>;

function check(name: string, look: () => Details | Promise<Details>, required = true): HealthCheck {
  return { name, required, check: async () => look() };
}

function refuseIf(fault: string | undefined): void {
  if (fault !== undefined) throw new Degraded(fault);
}
