import { createHash, randomBytes } from 'node:crypto';
import { QueryTypes, type Sequelize, type Transaction } from 'sequelize';
import { Invitation } from '../../models/index.ts';
import { select } from '../database/select.ts';
import { AppError } from '../errors.ts';

/** Accounts that one invitation may make, at most. */
export const MAX_USES = 10_000;
/** How long an invitation may be good for, in milliseconds: from a minute to a year. */
export const LIFETIME = { atLeast: 60_000, atMost: 365 * 86_400_000 } as const;

/** What an operator is shown of an invitation. */
export interface InvitationView {
  id: number;
  uses_left: number;
  created_at: Date;
  expires_at: Date;
}

/**
 * Makes an invitation. Its code is told here and never again: the database has its hash.
 * @param uses accounts that may be made with it, 1 to `MAX_USES`
 * @param lifetime milliseconds
 * @returns the code: 128 random bits as four groups of eight hexadecimal digits
 */
export async function createInvitation(
  sequelize: Sequelize,
  uses: number,
  lifetime: number,
): Promise<{ code: string; id: number; expiresAt: Date }> {
  const code = randomBytes(16)
    .toString('hex')
    .replaceAll(/(.{8})(?=.)/g, '$1-');
  const [made] = await sequelize.query<{ id: number; expires_at: Date }>(
    `insert into invitations (hash, uses_left, expires_at) values ($1, $2, now() + $3 * interval '1 millisecond')
     returning id, expires_at`,
    { type: QueryTypes.SELECT, bind: [hashOf(code), uses, lifetime] },
  );
  if (!made) throw new Error('the invitation was not stored');
  return { code, id: made.id, expiresAt: made.expires_at };
}

/** The invitations with which somebody can still sign up, the newest first; a thousand at most. */
export function liveInvitations(sequelize: Sequelize): Promise<InvitationView[]> {
  return sequelize.query<InvitationView>(
    `select id, uses_left, created_at, expires_at from invitations
     where uses_left > 0 and expires_at > now() order by id desc limit 1000`,
    { type: QueryTypes.SELECT },
  );
}

/** Ends an invitation. @returns whether there was one with this number */
export async function revokeInvitation(id: number): Promise<boolean> {
  return (await Invitation.destroy({ where: { id } })) > 0;
}

/**
 * Makes sure that a code is good, without using it: nothing else is done for anyone who has none.
 * @throws {AppError} 403
 */
export async function requireInvitation(
  db: Pick<Sequelize, 'query'>,
  code: string | undefined,
): Promise<void> {
  if (code === undefined) throw refused('An invitation is needed to sign up here. Ask the operator for one.');
  const good = await db.query(
    'select 1 from invitations where hash = $1 and uses_left > 0 and expires_at > now()',
    { type: QueryTypes.SELECT, bind: [hashOf(code)] },
  );
  if (good.length === 0) throw notGood();
}

/**
 * Uses an invitation once, in the transaction that makes the account. Anyone who comes for the last use meanwhile waits
 * for the end of that transaction, and then has it or is refused.
 * @throws {AppError} 403
 */
export async function useInvitation(tx: Transaction, code: string): Promise<void> {
  const used = await select(
    tx,
    `update invitations set uses_left = uses_left - 1 where hash = $1 and uses_left > 0 and expires_at > now()
     returning 1`,
    hashOf(code),
  );
  if (used.length === 0) throw notGood();
}

function notGood(): AppError {
  return refused('This invitation is unknown, used up or expired. Ask the operator for another one.');
}

function refused(said: string): AppError {
  return new AppError('invitation_required', said, {
    errors: [{ loc: ['body', 'invitation'], msg: said, type: 'any.invitation' }],
  });
}

/** However it was typed: groups, spaces and case mean nothing. */
function hashOf(code: string): Buffer {
  return createHash('sha256').update(code.replaceAll(/[\s-]/g, '').toLowerCase()).digest();
}
