import type { Request, Response } from 'express';
import type { Connection } from '../auth/connections.ts';
import type { Identity } from '../auth/identity.ts';
import type { Context } from '../context.ts';
import { type LogEntry, readHead, readLog, shortened } from '../outbox/log.ts';
import { unservable } from './queries.ts';
import { newEvents, requireRoom } from './waiting.ts';

/** A comment line as often as this keeps proxies from closing a quiet stream. Milliseconds. */
const HEARTBEAT = 15_000;
const PAGE = 100;
/** How long a client may leave what was written unread. Milliseconds. */
const PATIENCE = 10_000;
/**
 * The feed as Server-Sent Events (the HTML standard, 9.2), from the same log as the sockets'. The `id` of each event is
 * `epoch:seq`, so a browser's own reconnection resumes exactly.
 */
export async function serveStream(
  ctx: Context,
  user: Identity,
  query: { after?: number; epoch?: string },
  req: Request,
  res: Response,
): Promise<void> {
  requireRoom(ctx, user);
  res.status(200).set({
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no',
  });
  // Nothing follows the headers: a stream would keep the connection for nothing, and the next request on it waiting.
  if (req.method === 'HEAD') {
    res.end();
    return;
  }
  let open = true;
  const connection: Connection = {
    identity: user,
    end: (code, detail) => {
      res.write(`event: session:closed\ndata: ${JSON.stringify({ code, detail })}\n\n`);
      close();
    },
    expiring: (expiresAt) => {
      res.write(
        `event: session:expiring\ndata: ${JSON.stringify({ expires_at: new Date(expiresAt).toISOString() })}\n\n`,
      );
    },
  };
  const close = () => {
    open = false;
    ctx.connections.remove(connection);
    res.end();
    // A client that does not read would hold the rest forever.
    setTimeout(() => res.destroy(), 1000).unref();
  };
  // Known first, looked up afterwards: a revocation in between is not missed.
  ctx.connections.add(connection);
  res.once('close', () => {
    open = false;
    ctx.connections.remove(connection);
  });
  try {
    await ctx.liveSessions.require(user, { fresh: true });
  } catch (error) {
    ctx.connections.remove(connection);
    throw error;
  }

  res.flushHeaders();
  let { after, epoch } = startOf(query, req.get('last-event-id'), ctx.feed.seq);
  let wroteAt = Date.now();
  const write = async (text: string): Promise<boolean> => {
    wroteAt = Date.now();
    return res.write(text) || (await drained(res));
  };
  const head = await readHead(ctx.db);
  const reason = unservable({ after, epoch }, head);
  if (reason) {
    await write(
      `id: ${head.epoch}:${head.seq}\nevent: reset\ndata: ${JSON.stringify({ epoch: head.epoch, seq: head.seq, reason })}\n\n`,
    );
    after = head.seq;
  }
  epoch = head.epoch;
  while (open) {
    const known = ctx.feed.seq;
    // A node that is behind the log may still have a text that has been taken out.
    const recent = known >= head.seq ? ctx.feed.recent(after, PAGE) : undefined;
    const entries: LogEntry[] = recent ? shortened(recent) : await readLog(ctx.db, after, PAGE);
    if (!open) return;
    const isPruned = entries[0] ? entries[0].seq !== after + 1 : after < known;
    if (ctx.feed.epoch !== epoch || isPruned) {
      // Renumbered or pruned beneath it: the client comes back with its position and is told `reset`.
      close();
      return;
    }
    for (const entry of entries) {
      if (!(await write(`id: ${epoch}:${entry.seq}\nevent: ${entry.name}\ndata: ${entry.json}\n\n`))) {
        close();
        return;
      }
      after = entry.seq;
      if (!open) return;
    }
    if (entries.length > 0) continue;
    await newEvents(ctx, after, Math.max(1, wroteAt + HEARTBEAT - Date.now()), res);
    if (open && Date.now() - wroteAt >= HEARTBEAT && !(await write(': \n\n'))) close();
  }
}

function startOf(
  query: { after?: number; epoch?: string },
  lastEventId: string | undefined,
  now: number,
): { after: number; epoch: string | undefined } {
  if (lastEventId === undefined || lastEventId === '')
    return { after: query.after ?? now, epoch: query.epoch };
  const at = lastEventId.lastIndexOf(':');
  return { after: Number(lastEventId.slice(at + 1)), epoch: at < 0 ? query.epoch : lastEventId.slice(0, at) };
}

/** Whether the client has read what was written, within its time. */
function drained(res: Response): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (value: boolean) => {
      clearTimeout(timer);
      res.off('drain', yes);
      res.off('close', no);
      resolve(value);
    };
    const yes = () => done(true);
    const no = () => done(false);
    const timer = setTimeout(no, PATIENCE);
    res.once('drain', yes);
    res.once('close', no);
  });
}
