import { QueryTypes, type Transaction } from 'sequelize';
import type { User } from '../../models/index.ts';
import { violatedConstraint } from '../database/connection.ts';
import { select } from '../database/select.ts';
import { AppError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { identityLinked } from '../mail/messages.ts';
import type { Outbox } from '../mail/outbox.ts';
import { audit } from '../moderation/audit.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { AuthContext } from './context.ts';
import { beginAtProvider, proveAtProvider, requireOidc, useLogin } from './oidc-logins.ts';
import type { ProvedIdentity } from './oidc-provider.ts';
import { hasPassword } from './owner.ts';
import {
  type BegunLogin,
  identityColumns,
  type IdentityRow,
  type LinkedIdentity,
  presentIdentity,
  type Returned,
} from './present.ts';

type IdentityContext = Pick<AuthContext, 'config' | 'db' | 'mails' | 'oidc' | 'ownPassword'>;

/** So many identities an account may have. */
const MOST = 10;

/** The identities with which a user can log in, the oldest first. */
export async function identitiesOf(
  ctx: Pick<AuthContext, 'db' | 'oidc'>,
  user: Identity,
  requester: Requester,
): Promise<LinkedIdentity[]> {
  const rows = await ctx.db
    .share(requester)
    .query<IdentityRow>(`select ${identityColumns} from identities where user_id = $1 order by id`, {
      type: QueryTypes.SELECT,
      bind: [user.id],
    });
  return rows.map(presentIdentity);
}

/** Begins to link an identity with the account of a user. @throws {AppError} as `OwnPassword.prove` and `beginAtProvider` do */
export async function beginLink(
  ctx: IdentityContext,
  user: Identity,
  { password, return_to: returnTo }: { password?: string; return_to?: string },
  requester: Requester,
): Promise<BegunLogin> {
  requireOidc(ctx);
  return ctx.ownPassword.prove(user, password, requester, () =>
    beginAtProvider(ctx, user.id, returnTo, requester),
  );
}

/**
 * Links the identity that the browser comes back with.
 * @throws {AppError} 409 if it is another account's, or the account has ten; and as `proveAtProvider` does
 */
export async function finishLink(
  ctx: IdentityContext,
  viewer: Identity,
  returned: Returned,
  requester: Requester,
): Promise<LinkedIdentity> {
  const proved = await proveAtProvider(ctx, returned, viewer.id, requester);
  const { provider } = requireOidc(ctx);
  try {
    return await ctx.db.share(requester).transaction(async (tx) => {
      const user = await ctx.ownPassword.lock(tx, viewer, undefined, tx.LOCK.NO_KEY_UPDATE);
      await useLogin(tx, proved);
      const { issuer, sub } = proved.identity;
      const [own] = await select<IdentityRow>(
        tx,
        `select ${identityColumns} from identities where issuer = $1 and sub = $2 and user_id = $3`,
        issuer,
        sub,
        user.id,
      );
      if (own) return presentIdentity(own);
      const linked = await link(tx, user, proved.identity);
      await tellOfLink(tx, ctx.mails, user, provider.name);
      return presentIdentity(linked);
    });
  } catch (error) {
    if (violatedConstraint(error) === 'identities_issuer_sub_key')
      throw new AppError('conflict', `This account at ${provider.name} is linked with another account here.`);
    throw error;
  }
}

/**
 * Ends the link of an identity with the account of a user.
 * @throws {AppError} 404, 409 if nobody could log in to the account any more; and as `OwnPassword.prove` does
 */
export async function unlink(
  ctx: IdentityContext,
  viewer: Identity,
  id: number,
  password: string | undefined,
  requester: Requester,
): Promise<void> {
  await ctx.ownPassword.change(viewer, password, requester, async (tx, user) => {
    const linked = await select<{ id: number; issuer: string }>(
      tx,
      'select id, issuer from identities where user_id = $1',
      user.id,
    );
    if (!linked.some((one) => one.id === id)) throw new AppError('not_found', `You have no identity ${id}.`);
    // With an identity of a provider that the service had before nobody can log in.
    const others = linked.filter((one) => one.id !== id && ctx.oidc?.provider.isIssuer(one.issuer));
    if (others.length === 0 && !hasPassword(user))
      throw new AppError(
        'conflict',
        'This is the only way to log in to your account. Choose a password first.',
      );
    await select(tx, 'delete from identities where id = $1', id);
    await audit(tx, { action: 'unlink_identity', actorId: user.id, userId: user.id, reason: '' });
  });
}

/**
 * Links an identity with an account whose row is locked.
 * @throws {AppError} 409 if the account has ten; a violation of `identities_issuer_sub_key` if another account has it
 */
export async function link(
  tx: Transaction,
  { id }: Pick<User, 'id'>,
  identity: ProvedIdentity,
): Promise<IdentityRow> {
  const [has] = await select<{ count: number }>(
    tx,
    'select count(*) as count from identities where user_id = $1',
    id,
  );
  if ((has?.count ?? 0) >= MOST)
    throw new AppError('conflict', `An account can have ${MOST} identities. Unlink one first.`);
  const [linked] = await select<IdentityRow>(
    tx,
    `insert into identities (user_id, issuer, sub, email) values ($1, $2, $3, $4) returning ${identityColumns}`,
    id,
    identity.issuer,
    identity.sub,
    identity.email,
  );
  if (!linked) throw new Error('the identity was not written');
  await audit(tx, { action: 'link_identity', actorId: id, userId: id, reason: '' });
  return linked;
}

/** Tells the owner of an account of a new way to log in to it. */
export async function tellOfLink(
  tx: Transaction,
  mails: Outbox,
  user: Pick<User, 'id' | 'username' | 'email' | 'emailVerifiedAt'>,
  provider: string,
): Promise<void> {
  await mails.tell(tx, user, identityLinked(user, mails.publicUrl, provider));
}
