import type { Context } from '../context.ts';
import { AppError } from '../errors.ts';
import type { FeedEvent, ResetReason } from '../events.ts';
import { type Head, type LogEntry, readHead, readLog, shortened } from '../outbox/log.ts';

/** Why a position cannot be served, if it cannot. */
export function unservable(
  position: { after: number; epoch: string | undefined },
  head: { epoch: string; seq: number; floor: number },
): ResetReason | undefined {
  if (position.epoch !== undefined && position.epoch !== head.epoch) return 'epoch_changed';
  if (position.after > head.seq) return 'future';
  if (position.after < head.floor) return 'too_old';
  return undefined;
}

const sentences: Record<ResetReason, string> = {
  epoch_changed: 'The position belongs to another numbering: the database was restored or made anew.',
  future: 'The position lies ahead of the log.',
  too_old: 'The log no longer reaches that far back.',
};

/**
 * The events after a position, as many as fit one page. A short page is not the end of the log: `head` is.
 * @throws {AppError} 410 with `epoch` and `head`, the place to start again after reading `GET /posts` anew
 */
export async function eventsAfter(
  ctx: Context,
  after: number,
  epoch: string | undefined,
  limit: number,
): Promise<{ epoch: string; head: number; entries: LogEntry[] }> {
  // The log itself, not the node's copy of it: the caller may have read further on another node.
  const head = await readHead(ctx.db);
  const reason = unservable({ after, epoch }, head);
  if (reason) throw gone(reason, head);
  if (head.seq === after) return { epoch: head.epoch, head: head.seq, entries: [] };
  // A node that is behind the log may still have a text that has been taken out.
  const current = ctx.feed.epoch === head.epoch && ctx.feed.seq >= head.seq;
  const recent = current ? ctx.feed.recent(after, limit) : undefined;
  const entries = recent && recent.length > 0 ? shortened(recent) : await readLog(ctx.db, after, limit);
  // Pruned between the two reads.
  if (entries[0]?.seq !== after + 1) throw gone('too_old', await readHead(ctx.db));
  return { epoch: head.epoch, head: Math.max(head.seq, entries.at(-1)?.seq ?? 0), entries };
}

/** The events that have just come to the node after a position in this epoch; undefined if the log has to be asked. */
export function freshEvents(
  ctx: Context,
  after: number,
  epoch: string,
  limit: number,
): { epoch: string; head: number; entries: LogEntry[] } | undefined {
  const entries = ctx.feed.epoch === epoch ? ctx.feed.recent(after, limit) : undefined;
  return entries && entries.length > 0
    ? { epoch, head: ctx.feed.seq, entries: shortened(entries) }
    : undefined;
}

function gone(reason: ResetReason, head: Head): AppError {
  return new AppError('gone', `${sentences[reason]} Read GET /posts again and go on from its X-Feed-Seq.`, {
    members: { reason, epoch: head.epoch, head: head.seq },
  });
}

/** An event as REST tells it. */
export function presentEvent(entry: LogEntry): FeedEvent {
  return {
    seq: entry.seq,
    name: entry.name,
    at: new Date(entry.at).toISOString(),
    data: JSON.parse(entry.json) as never,
  };
}
