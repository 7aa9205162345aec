import { QueryTypes } from 'sequelize';
import { User } from '../../models/index.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { refuseWhile, unauthorized, userIsGone } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { type OwnUser, presentOwnUser } from '../users/present.ts';
import type { ExportContext } from './context.ts';
import { ExportLease, LeaseLost } from './export-lease.ts';
import { type KeyedRow, sections } from './sections.ts';

/** Of the format: it grows when a line is no longer what it was. New kinds and new members do not change it. */
const VERSION = 1;

/** Where the lines go, as fast as the client reads. */
export interface Lines {
  /** Sends the head of the answer. */
  begin: (headers: Record<string, string>) => void;
  /** @throws if the client has left, or has not read for too long */
  write: (line: object) => Promise<void>;
  end: () => Promise<void>;
  /** Ends the connection: the client sees that the answer is not whole. */
  cutOff: () => void;
}

/** How an export ended, for the metric. */
type Outcome = 'complete' | 'left' | 'unread' | 'session' | 'time' | 'failed';

export interface ExportRequest {
  lines: Lines;
  requester: Requester;
  /** Counts it, when it may begin. @throws {AppError} 429 */
  count: () => Promise<void>;
}

/**
 * Writes all that a user has written and set, as JSON lines: first `export`, then `account` and what the sections have, and
 * `end` with the number of lines of each kind. Without the last one it is not whole: errors after its first line, the end of
 * the session and a client that does not read cut it off.
 *
 * Each page is a statement of its own, so no snapshot is held while a client reads, and nothing keeps dead rows from being
 * vacuumed. So the export is not of one moment: what is there from its beginning to its end is in it, and each row is as
 * it was when it was read.
 * @throws {AppError} before the first line: 401, 429 while the account is being exported or after too many exports, 503
 */
export async function exportAccount(
  ctx: ExportContext,
  user: Identity,
  { lines, requester, count }: ExportRequest,
): Promise<void> {
  // A lease is written.
  refuseWhile(ctx.writes.refusal);
  await ctx.exports.run(async () => {
    // The lease is given back although the client has left.
    const db = ctx.db.share({ senders: requester.senders });
    const lease = await ExportLease.take(db, user);
    try {
      await count();
      await send(ctx, user, { lines, requester, lease });
    } finally {
      await lease
        .release()
        .catch((error: unknown) =>
          ctx.log.debug({ err: error }, 'the lease of an export was not given back'),
        );
    }
  });
}

async function send(
  ctx: ExportContext,
  user: Identity,
  { lines, requester, lease }: { lines: Lines; requester: Requester; lease: ExportLease },
): Promise<void> {
  const { connections, liveSessions, log, metrics, exports } = ctx;
  let over: Outcome | undefined;
  let begun = false;
  const end = (outcome: Outcome) => {
    over ??= outcome;
    if (begun) lines.cutOff();
  };
  // It may outlive its access token, as any answer, and not its session.
  const connection = { identity: { ...user, expiresAt: Infinity }, end: () => end('session') };
  const timer = setTimeout(() => end('time'), exports.limits.whole);
  connections.add(connection);
  try {
    await liveSessions.require(user, { fresh: true, senders: () => requester.senders });
    const db = ctx.db.share(requester);
    const account = await readAccount(db, user);
    if (over !== undefined) throw unauthorized('The session of this access token has ended.');
    const startedAt = new Date().toISOString();
    lines.begin(headersFor(account, startedAt));
    begun = true;
    try {
      await lines.write({
        kind: 'export',
        data: {
          version: VERSION,
          started_at: startedAt,
          service: ctx.config.serviceUrl,
          user_id: account.id,
          username: account.username,
        },
      });
      await lines.write({ kind: 'account', data: account });
      await writeSections(db, user, { lines, lease, startedAt });
      await lines.end();
      over = 'complete';
    } catch (error) {
      lines.cutOff();
      over ??= outcomeOf(error);
      log[over === 'failed' ? 'warn' : 'debug'](
        { err: error, user_id: user.id, outcome: over },
        'an export was cut off',
      );
    }
    metrics.exports.inc({ outcome: over });
  } finally {
    clearTimeout(timer);
    connections.remove(connection);
  }
}

/** @throws {AppError} 401 if the user has just been deleted */
async function readAccount(db: DatabaseShare, user: Identity): Promise<OwnUser> {
  const row = await db.run(() => User.findByPk(user.id));
  if (!row || row.deletedAt) throw userIsGone();
  return presentOwnUser(row);
}

/** Ends with the line that says how many there were: the account and the session live to the end of the last read. */
async function writeSections(
  db: DatabaseShare,
  user: Identity,
  { lines, lease, startedAt }: { lines: Lines; lease: ExportLease; startedAt: string },
): Promise<void> {
  const counts: Record<string, number> = { account: 1 };
  for (const { kinds, sql, size, start, line } of sections) {
    for (const kind of kinds) counts[kind] ??= 0;
    let key = start(startedAt);
    for (;;) {
      await lease.keep();
      const page = await db.query<KeyedRow>(sql, { type: QueryTypes.SELECT, bind: [user.id, size, ...key] });
      for (const row of page) {
        const { kind, data } = line(row as never, user);
        counts[kind] = (counts[kind] ?? 0) + 1;
        await lines.write({ kind, data });
        await lease.keep();
      }
      key = page.at(-1)?.key ?? key;
      if (page.length < size) break;
    }
  }
  // Before the client sees the end: it may ask again at once.
  await lease.finish();
  await lines.write({ kind: 'end', data: { finished_at: new Date().toISOString(), counts } });
}

function headersFor({ username }: OwnUser, startedAt: string): Record<string, string> {
  return {
    'Content-Type': 'application/x-ndjson; charset=utf-8',
    // A name has only letters, digits, dots, dashes and underscores.
    'Content-Disposition': `attachment; filename="tidings-${username}-${startedAt.slice(0, 10)}.ndjson"`,
    'X-Accel-Buffering': 'no',
    // It is another text each time: a proxy that cuts ranges out of it would let a client resume one with another.
    'Accept-Ranges': 'none',
  };
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof LeaseLost) return 'session';
  const reason = error instanceof Error && 'reason' in error ? error.reason : undefined;
  return reason === 'left' || reason === 'unread' ? reason : 'failed';
}
