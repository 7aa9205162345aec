import { randomUUID } from 'node:crypto';
import type { Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import { AppError, invalid } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { webhookAdded } from '../mail/messages.ts';
import { audit } from '../moderation/audit.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { hostOf, isPrivateHost } from './addresses.ts';
import type { WebhookContext } from './context.ts';
import {
  type Outcome,
  type Pause,
  presentWebhook,
  webhookColumns,
  type WebhookRow,
  type WebhookView,
} from './present.ts';
import { tellOwner } from './owner-mails.ts';
import { noWebhook, webhook } from './queries.ts';
import type { ChangeWebhook, CreateWebhook, ReplayWebhook } from './schemas.ts';
import { newWebhookSecret, openSecrets } from './signature.ts';

/** Webhooks that one user may have. */
export const MAX_WEBHOOKS = 10;

/** How long messages are signed with the secret before as well. */
const ROTATION = '24 hours';

/** What a change by the user begins anew: the next attempt is made at once. */
const ANEW = 'version = version + 1, attempts = 0, failing_since = null, next_attempt_at = now()';

type Change = [ctx: WebhookContext, user: Identity, id: string, requester: Requester];

/**
 * Makes a webhook. It outlives the session, so it needs the password; the owner is sent a mail, if the address was proved.
 * @returns it, with the secret, which is not shown again
 * @throws {AppError} 401 if the session has just ended, 403 for a wrong password, or as `OwnPassword.prove` does; 409 for a user who has as many
 *   as may be, 422 for an address that may not be one
 */
export async function createWebhook(
  ctx: WebhookContext,
  user: Identity,
  { url, topics, after, epoch, password }: CreateWebhook,
  requester: Requester,
): Promise<WebhookView & { secret: string }> {
  requireAddress(ctx, url);
  const [id, secret] = [randomUUID(), newWebhookSecret()];
  const row = await withPassword([ctx, user, requester], password, url, async (tx) => {
    const own = await select(tx, 'select 1 from webhooks where user_id = $1', user.id);
    if (own.length >= MAX_WEBHOOKS)
      throw new AppError('conflict', `You have ${MAX_WEBHOOKS} webhooks. Delete one that you do not need.`);
    const [made] = await select<WebhookRow>(
      tx,
      `insert into webhooks as w (id, user_id, url, topics, secret, epoch, position)
       values ($1, $2, $3, $4::text[], $5, $6, $7) returning ${webhookColumns}`,
      id,
      user.id,
      url,
      topics ?? null,
      ctx.webhooks.seal.close(secret),
      epoch ?? ctx.feed.epoch,
      after ?? ctx.feed.seq,
    );
    await audit(tx, { action: 'create_webhook', actorId: user.id, userId: user.id, reason: '' });
    return made;
  });
  if (!row) throw new Error('a webhook was not written');
  ctx.webhooks.changed(id);
  return { ...presentWebhook(row), secret };
}

/**
 * Changes a webhook, pauses it or lets it go on. Another address needs the password.
 * @throws {AppError} 404, 422 for an address that may not be one; for another address as `createWebhook` does
 */
export async function changeWebhook(
  ...[ctx, user, id, requester, change]: [...Change, ChangeWebhook]
): Promise<WebhookView> {
  const { url, topics, paused, password } = change;
  const write = (tx: Transaction) =>
    update(
      tx,
      [user, id],
      `url = coalesce($3, url), topics = case when $4 then $5::text[] else topics end,
       paused = case when $6 = false then null when $6::boolean and paused is distinct from 'password' then 'owner'
         else paused end`,
      url ?? null,
      topics !== undefined,
      topics ?? null,
      paused ?? null,
    );
  const note = (tx: Transaction) =>
    audit(tx, { action: 'change_webhook', actorId: user.id, userId: user.id, reason: '' });
  let row: WebhookRow;
  if (url === undefined)
    row = await ctx.db.share(requester).transaction(async (tx) => {
      const wasPausedByPassword = paused === false && (await lockedPause(tx, user, id)) === 'password';
      const changed = await write(tx);
      // Somebody else may have made it.
      if (wasPausedByPassword) await note(tx);
      return changed;
    });
  else {
    requireAddress(ctx, url);
    await webhook(ctx, user, requester, id);
    row = await withPassword([ctx, user, requester], password, url, async (tx) => {
      const changed = await write(tx);
      await note(tx);
      return changed;
    });
  }
  ctx.webhooks.changed(id);
  return presentWebhook(row);
}

/** Sends again, or leaves out, what is in the log: continues after another position. @throws {AppError} 404 */
export async function replayWebhook(
  ...[ctx, user, id, requester, { after, epoch }]: [...Change, ReplayWebhook]
): Promise<WebhookView> {
  const row = await ctx.db
    .share(requester)
    .transaction((tx) =>
      update(tx, [user, id], 'position = $3, epoch = $4, reset = null', after, epoch ?? ctx.feed.epoch),
    );
  ctx.webhooks.changed(id);
  return presentWebhook(row);
}

/**
 * Gives a webhook another secret. For a day, messages are signed with both. One that was paused since its secret could not be
 * read goes on. It needs the password: with the secret one can write messages that the receiver takes for ours.
 * @throws {AppError} 404, or as `createWebhook` does
 */
export async function rotateSecret(
  ...[ctx, user, id, requester, password]: [...Change, string | undefined]
): Promise<{ secret: string }> {
  const secret = newWebhookSecret();
  await webhook(ctx, user, requester, id);
  await withPassword([ctx, user, requester], password, undefined, async (tx) => {
    await update(
      tx,
      [user, id],
      `previous_secret = secret, previous_until = now() + interval '${ROTATION}', secret = $3,
       paused = nullif(paused, 'secret')`,
      ctx.webhooks.seal.close(secret),
    );
    await audit(tx, { action: 'change_webhook', actorId: user.id, userId: user.id, reason: '' });
  });
  ctx.webhooks.changed(id);
  return { secret };
}

/** Nothing is sent to it any more. @throws {AppError} 404 */
export async function deleteWebhook(...[ctx, user, id, requester]: Change): Promise<void> {
  const gone = await ctx.db
    .share(requester)
    .transaction((tx) =>
      select(tx, 'delete from webhooks where id = $1 and user_id = $2 returning 1', id, user.id),
    );
  if (gone.length === 0) throw noWebhook(id);
  ctx.webhooks.changed(id);
}

/** Posts a message of type `ping`, beside the stream. @returns what came of it @throws {AppError} 404, 409; 503 if the node stops */
export async function pingWebhook(...[ctx, user, id, requester]: Change): Promise<Outcome> {
  const { seal, sender } = ctx.webhooks;
  const [row] = await ctx.db.share(requester).transaction((tx) =>
    select<{ url: string; secret: Buffer; previous: Buffer | null }>(
      tx,
      `select url, secret, case when previous_until > now() then previous_secret end as previous
       from webhooks where id = $1 and user_id = $2`,
      id,
      user.id,
    ),
  );
  if (!row) throw noWebhook(id);
  const secrets = openSecrets(seal, row);
  if (secrets.length === 0)
    throw new AppError('conflict', 'The secret of this webhook can no longer be read. Give it another one.');
  const destination = { userId: user.id, url: row.url, secrets };
  const message = { type: 'ping', timestamp: new Date().toISOString(), data: { webhook_id: id } };
  const signal = requester.signal ? AbortSignal.any([requester.signal, sender.closed]) : sender.closed;
  const { outcome } = await sender.inTurn(user.id, signal, () =>
    sender.post(
      destination,
      {
        id: `ping:${randomUUID()}`,
        body: JSON.stringify({ ...message, epoch: ctx.feed.epoch, seq: ctx.feed.seq }),
      },
      signal,
    ),
  );
  // Nothing is known of the receiver then.
  if (!outcome.delivered) signal.throwIfAborted();
  return outcome;
}

/** @throws {AppError} 404 */
async function update(
  tx: Transaction,
  [user, id]: [Identity, string],
  changes: string,
  ...bind: unknown[]
): Promise<WebhookRow> {
  const [row] = await select<WebhookRow>(
    tx,
    `update webhooks w set ${ANEW}, ${changes} where w.id = $1 and w.user_id = $2 returning ${webhookColumns}`,
    id,
    user.id,
    ...bind,
  );
  if (!row) throw noWebhook(id);
  return row;
}

/** Why a webhook is paused, which stays so. Its user is locked before it, as whatever changes both does. */
async function lockedPause(tx: Transaction, { id }: Identity, webhookId: string): Promise<Pause | null> {
  await select(tx, 'select 1 from users where id = $1 for key share', id);
  const [row] = await select<Pick<WebhookRow, 'paused'>>(
    tx,
    'select paused from webhooks where id = $1 and user_id = $2 for no key update',
    webhookId,
    id,
  );
  return row?.paused ?? null;
}

/**
 * Does something in one transaction with the user's row, locked, that needs the password.
 * @param url where a webhook posts from now on: the owner is sent a mail with its host
 * @throws {AppError} 401 if the session has just ended, as it does with a suspension; or as `OwnPassword` does
 */
function withPassword<T>(
  [ctx, user, requester]: [WebhookContext, Identity, Requester],
  password: string | undefined,
  url: string | undefined,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const { mails, ownPassword } = ctx;
  return ownPassword.change(user, password, requester, async (tx, owner) => {
    const done = await work(tx);
    if (url !== undefined) await tellOwner(mails, tx, owner, webhookAdded(owner, url, mails.publicUrl));
    return done;
  });
}

/** What is wrong with an address by itself. Where its name leads is found out with each connection. */
function requireAddress({ webhooks }: Pick<WebhookContext, 'webhooks'>, url: string): void {
  if (webhooks.allowPrivate) return;
  const address = new URL(url);
  if (address.protocol === 'https:' && !isPrivateHost(hostOf(address))) return;
  const msg = '"url" must be an https address of the public internet';
  throw invalid([{ loc: ['body', 'url'], msg, type: 'string.address' }], 1);
}
