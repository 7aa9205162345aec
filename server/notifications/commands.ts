import { QueryTypes } from 'sequelize';
import type { Identity } from '../identity.ts';
import { announce } from '../log/append.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { NotificationContext } from './context.ts';
import type { NotificationState } from './event-payloads.ts';

/**
 * Marks as read what a user has seen, on all devices. Repeating it changes nothing.
 * @param upTo the highest `rev` that the user has seen: what was added or renewed later stays unread
 */
export async function markRead(
  ctx: NotificationContext,
  user: Identity,
  upTo: number,
  requester: Requester,
): Promise<NotificationState> {
  const [row] = await ctx.db
    .share(requester)
    .query<NotificationState & { changed: boolean }>('select * from read_notifications($1, $2)', {
      type: QueryTypes.SELECT,
      bind: [user.id, upTo],
    });
  if (!row) throw new Error('read_notifications gave no row');
  if (row.changed) announce(ctx.db.sequelize);
  return { unread: row.unread, rev: row.rev };
}
