import { ApiKeys } from '../auth/api-keys.ts';
import { identifyBy } from '../auth/identify.ts';
import { storedSecret } from '../auth/stored-secret.ts';
import { LastSeen } from '../auth/last-seen.ts';
import { LiveSessions } from '../auth/live-sessions.ts';
import { RefreshTokens } from '../auth/refresh-tokens.ts';
import { Revocations } from '../auth/revocations.ts';
import { SessionRecheck } from '../auth/session-recheck.ts';
import { Totp } from '../auth/totp.ts';
import { AccessTokens } from '../auth/tokens.ts';
import type { Config } from '../config.ts';
import { Connections } from '../delivery/connections.ts';
import type { EndOfSessions } from '../identity.ts';
import type { Follower } from '../log/follower.ts';
import type { Logger } from '../logger.ts';
import { Seal } from '../mail/seal.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { DatabaseParts } from './database.ts';

export type SessionParts = Awaited<ReturnType<typeof createSessions>>;

/** Login sessions, and the connections that end with them. Each node reads which have ended on its look at the log. */
export async function createSessions(
  config: Readonly<Config>,
  { db, mayWrite, schema }: Pick<DatabaseParts, 'db' | 'mayWrite' | 'schema'>,
  feed: Follower,
  { log, metrics }: { log: Logger; metrics: Metrics },
) {
  const secrets = config.jwtSecrets.length > 0 ? config.jwtSecrets : [await storedSecret(config.dataDir)];
  const revocations = new Revocations();
  const connections = new Connections();
  const lastSeen = new LastSeen(db.share('sessions'), mayWrite, (error) =>
    log.debug({ err: error }, 'when sessions were used last could not be written; retrying'),
  );
  const liveSessions = new LiveSessions(
    db.share('sessions'),
    () => feed.readAt,
    () => schema.absence,
    {
      onRefused: () => metrics.queueRefused.inc({ queue: 'sessions' }),
      onSeen: (sessionId) => lastSeen.note(sessionId),
    },
  );
  const recheck = new SessionRecheck({ connections, liveSessions, log });
  const end = (sessions: EndOfSessions) => {
    liveSessions.end(sessions);
    connections.endSessions(sessions);
  };
  feed.on('revocations', (ends) => ends.forEach(end));
  feed.on('tooManyRevocations', () => recheck.request());
  const tokens = new AccessTokens(secrets, config.accessTokenTtl);
  const apiKeys = new ApiKeys(
    db.share('sessions'),
    () => schema.absence,
    () => metrics.queueRefused.inc({ queue: 'keys' }),
  );
  feed.on('epoch', () => {
    liveSessions.forgetAll();
    apiKeys.forgetAll();
  });
  revocations.onAnnounced(end);
  return {
    /** Those that tokens are signed with; the first is the newest. */
    secrets,
    tokens,
    identify: identifyBy(tokens, apiKeys),
    refreshTokens: new RefreshTokens(secrets),
    revocations,
    totp: new Totp(new Seal(secrets, 'totp')),
    liveSessions,
    lastSeen,
    connections,
    recheck,
  };
}
