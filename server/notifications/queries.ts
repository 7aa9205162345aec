import { QueryTypes } from 'sequelize';
import type { Identity } from '../identity.ts';
import { encodeCursor, placeBefore } from '../keyset-cursor.ts';
import { NoHead } from '../log/reader.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { NotificationContext } from './context.ts';
import type { NotificationState, NotificationView } from './event-payloads.ts';
import type { ListNotifications } from './schemas.ts';

/** A page of a user's notifications, the newest first. */
export interface NotificationPage extends NotificationState {
  /** The stream position that the page reflects. */
  epoch: string;
  seq: number;
  notifications: NotificationView[];
  /** Where the next page begins; undefined on the last. */
  next: string | undefined;
}

interface Row extends NotificationState {
  epoch: string;
  seq: number;
  view: NotificationView | null;
}

/**
 * A page of a user's notifications with the number of unread ones, as of one moment.
 * @throws {AppError} 422 for a cursor of another list
 */
export async function notificationPage(
  ctx: NotificationContext,
  user: Identity,
  { unread, limit, cursor: given }: ListNotifications,
  requester: Requester,
): Promise<NotificationPage> {
  const { key: rev, id } = placeBefore('notifications', given);
  const rows = await ctx.db.share(requester).query<Row>(
    `select h.epoch, h.seq, unread_notifications($1) as unread,
       coalesce((select s.rev from notification_states s where s.user_id = $1), 0) as rev, page.view
     from feed_head h left join lateral (
       select n.rev, n.id, notification_json(n.id, n.kind, n.actor_id, u.username, n.post_id, n.thread_id, n.people,
         n.rev, n.happened_at, n.read_at, n.act, n.reason) as view
       from shown_notifications n left join users u on u.id = n.actor_id
       where n.user_id = $1 and (n.rev, n.id) < ($2::bigint, $3::bigint) and (n.read_at is null or not $4)
       order by n.rev desc, n.id desc limit $5
     ) page on true
     order by page.rev desc, page.id desc`,
    { type: QueryTypes.SELECT, bind: [user.id, rev, id, unread, limit + 1] },
  );
  const [first] = rows;
  if (!first) throw new NoHead();
  const found = rows.flatMap(({ view }) => (view === null ? [] : [view]));
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    epoch: first.epoch,
    seq: first.seq,
    unread: first.unread,
    rev: first.rev,
    notifications: page,
    next: found.length > limit && last ? encodeCursor('notifications', last.rev, last.id) : undefined,
  };
}
