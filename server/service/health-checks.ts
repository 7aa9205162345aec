import type { Backlog } from '../log/backlog.ts';
import type { Follower } from '../log/follower.ts';
import { Degraded, type HealthCheck } from '../ops/health.ts';
import type { RedisParts } from '../redis.ts';
import type { Replicas } from '../database/replicas.ts';
import type { DatabaseParts } from './database.ts';

export interface Checked extends Pick<DatabaseParts, 'db' | 'schema' | 'sessions' | 'writes'> {
  replicas: Replicas | undefined;
  backlog: Pick<Backlog, 'length' | 'stall'>;
  feed: Pick<Follower, 'lag' | 'seq' | 'stall'>;
  redis: RedisParts | undefined;
}

/** What `/readyz` looks at. */
export function healthChecks(parts: Checked): HealthCheck[] {
  const { db, replicas, schema, sessions, writes, backlog, feed, redis } = parts;
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
    ...(replicas
      ? [
          check(
            'replicas',
            () => {
              const { length: all } = replicas.all;
              const used = replicas.all.filter(({ isInUse }) => isInUse).length;
              refuseIf(used < all ? `${used} of ${all} replicas are in use.` : undefined);
              return { used };
            },
            false,
          ),
        ]
      : []),
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
