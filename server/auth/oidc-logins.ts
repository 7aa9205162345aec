import { QueryTypes, type Transaction } from 'sequelize';
import { select } from '../database/select.ts';
import { AppError, invalid, unauthorized } from '../errors.ts';
import { hashOf, newToken } from '../mail/tokens.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { AuthContext } from './context.ts';
import type { LoginSecrets, Oidc, ProvedIdentity } from './oidc-provider.ts';
import type { BegunLogin, Returned } from './present.ts';

/** How long a login may take, from its begin to its end. Seconds. */
const LIFETIME = 600;

export type OidcContext = Pick<AuthContext, 'config' | 'db' | 'oidc'>;

/** @throws {AppError} 404 where there is no provider */
export function requireOidc({ oidc }: Pick<AuthContext, 'oidc'>): Oidc {
  if (!oidc) throw new AppError('not_found', 'This service has no OpenID provider to log in with.');
  return oidc;
}

/**
 * Begins a login, or the link of a user who is logged in. Any node can finish it.
 * @param userId whose account it is to be linked with; null: a login
 * @param returnTo a page of an allowed origin that the browser is sent back to; undefined: the page of the service
 * @throws {AppError} 404 where there is no provider, 422 for a page of another origin, 503 if the provider does not answer
 */
export async function beginAtProvider(
  ctx: OidcContext,
  userId: number | null,
  returnTo: string | undefined,
  requester: Requester,
): Promise<BegunLogin> {
  const { provider, seal } = requireOidc(ctx);
  if (returnTo !== undefined && !provider.mayReturnTo(returnTo)) {
    const msg = '"return_to" must be an address without a fragment at the service or in CORS_ORIGINS by name';
    throw invalid([{ loc: ['body', 'return_to'], msg, type: 'any.invalid' }], 1);
  }
  const { url, secrets } = await provider.begin();
  const secret = newToken();
  await ctx.db.share(requester).query(
    `insert into oidc_logins (state_hash, secret_hash, user_id, return_to, content, expires_at)
     values ($1, $2, $3, $4, $5, now() + $6 * interval '1 second')`,
    {
      type: QueryTypes.RAW,
      bind: [
        hashOf(secrets.state),
        hashOf(secret),
        userId,
        // As it is sent in a header.
        returnTo === undefined ? null : new URL(returnTo).href,
        seal.close(JSON.stringify(secrets)),
        LIFETIME,
      ],
    },
  );
  return { authorization_url: url, state: secrets.state, secret, expires_in: LIFETIME };
}

/**
 * Where the provider's answer goes: to the page that began, in the fragment, which no server and no log is sent. Nothing is
 * done with it here: this request may come from a browser that began nothing.
 * @param response the query of the request
 */
export async function placeToReturnTo(
  ctx: OidcContext,
  response: string,
  requester: Requester,
): Promise<string> {
  requireOidc(ctx);
  const state = stateOf(response);
  const [login] =
    state === undefined
      ? []
      : await ctx.db
          .share(requester)
          .query<{ return_to: string | null }>(
            'select return_to from oidc_logins where state_hash = $1 and expires_at > now()',
            { type: QueryTypes.SELECT, bind: [hashOf(state)] },
          );
  return `${login?.return_to ?? `${ctx.config.serviceUrl}/`}#oidc=${encodeURIComponent(response)}`;
}

/** A login whose user the provider has named. */
export interface ProvedLogin {
  stateHash: Buffer;
  identity: ProvedIdentity;
}

/**
 * Who the browser that comes back is at the provider. The answer is traded once, by the first who has the secret of the
 * login; what the provider said is kept until the login ends, so that a code, a password or a name can follow.
 * @param userId who began to link, or null for a login
 * @throws {AppError} 401 for a login that is unknown, over or another browser's; 403 `oidc_refused`; 404; 503
 */
export async function proveAtProvider(
  ctx: OidcContext,
  { response, secret }: Returned,
  userId: number | null,
  requester: Requester,
): Promise<ProvedLogin> {
  const { provider, seal } = requireOidc(ctx);
  const state = stateOf(response);
  if (state === undefined) throw notGood();
  const stateHash = hashOf(state);
  const db = ctx.db.share(requester);
  const run = <T extends object>(sql: string, bind: unknown[]) =>
    db.query<T>(sql, { type: QueryTypes.SELECT, bind });
  const mine = `state_hash = $1 and secret_hash = $2 and user_id is not distinct from $3::bigint and expires_at > now()`;
  const [claimed] = await run<{ content: Buffer }>(
    `update oidc_logins set claimed_at = now() where ${mine} and claimed_at is null returning content`,
    [stateHash, hashOf(secret), userId],
  );
  if (!claimed) {
    const [proved] = await run<{ content: Buffer }>(
      `select content from oidc_logins where ${mine} and proved_at is not null`,
      [stateHash, hashOf(secret), userId],
    );
    const opened = proved && seal.open(proved.content);
    if (opened === undefined) throw notGood();
    return { stateHash, identity: JSON.parse(opened) as ProvedIdentity };
  }
  const opened = seal.open(claimed.content);
  if (opened === undefined) throw notGood();
  try {
    const identity = await provider.redeem(response, JSON.parse(opened) as LoginSecrets);
    await run('update oidc_logins set content = $2, proved_at = now() where state_hash = $1 returning 1', [
      stateHash,
      seal.close(JSON.stringify(identity)),
    ]);
    return { stateHash, identity };
  } catch (error) {
    // What was not answered may be tried again with the same answer; the provider takes a code once.
    const again = error instanceof AppError && error.code === 'unavailable';
    await run(
      again
        ? 'update oidc_logins set claimed_at = null where state_hash = $1 returning 1'
        : 'delete from oidc_logins where state_hash = $1 returning 1',
      [stateHash],
    );
    throw error;
  }
}

/** Ends a login, once: of two who finish it at once, the second finds that it is gone. @throws {AppError} 401 */
export async function useLogin(tx: Transaction, { stateHash }: ProvedLogin): Promise<void> {
  const used = await select(
    tx,
    'delete from oidc_logins where state_hash = $1 and proved_at is not null and expires_at > now() returning 1',
    stateHash,
  );
  if (used.length === 0) throw notGood();
}

function stateOf(response: string): string | undefined {
  const states = new URLSearchParams(response).getAll('state');
  return states.length === 1 ? states[0] : undefined;
}

function notGood(): AppError {
  return unauthorized('This login is unknown, used, expired or begun in another browser. Begin again.');
}
