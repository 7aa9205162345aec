import { QueryTypes } from 'sequelize';
import { AppError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { WebhookContext } from './context.ts';
import {
  type FailureReason,
  type FailureView,
  presentWebhook,
  webhookColumns,
  type WebhookRow,
  type WebhookView,
} from './present.ts';

type Look = [ctx: Pick<WebhookContext, 'db'>, user: Identity, requester: Requester];

/** The webhooks of a user, the newest first. */
export async function webhooks(...[ctx, user, requester]: Look): Promise<WebhookView[]> {
  const rows = await ctx.db
    .share(requester)
    .query<WebhookRow>(
      `select ${webhookColumns} from webhooks w where w.user_id = $1 order by w.created_at desc, w.id`,
      { type: QueryTypes.SELECT, bind: [user.id] },
    );
  return rows.map(presentWebhook);
}

/** One of them. @throws {AppError} 404 */
export async function webhook(...[ctx, user, requester, id]: [...Look, string]): Promise<WebhookView> {
  const found = (await webhooks(ctx, user, requester)).find((each) => each.id === id);
  if (!found) throw noWebhook(id);
  return found;
}

export function noWebhook(id: string): AppError {
  return new AppError('not_found', `You have no webhook ${id}.`);
}

/** The last messages that were not delivered to it, the newest first. @throws {AppError} 404 */
export async function failures(...[ctx, user, requester, id]: [...Look, string]): Promise<FailureView[]> {
  await webhook(ctx, user, requester, id);
  const rows = await ctx.db
    .share(requester)
    .query<{ happened_at: Date; message_id: string; reason: FailureReason; status: number | null }>(
      `select happened_at, message_id, reason, status from webhook_failures
       where webhook_id = $1 order by id desc`,
      { type: QueryTypes.SELECT, bind: [id] },
    );
  return rows.map(({ happened_at, ...rest }) => ({ at: happened_at.toISOString(), ...rest }));
}
