import { createHash } from 'node:crypto';
import { QueryTypes, type Transaction } from 'sequelize';
import { IdempotencyKey } from '../../models/index.ts';
import { AppError } from '../errors.ts';

/** Whose key it is: two users may use the same one. */
export interface Claim {
  userId: number;
  key: string;
}

/**
 * Claims a key as the first statement of the write that it guards: whoever comes second with it waits here for the first
 * to commit, and then gives the first answer again. So after a lost connection, when nobody knows whether the write was
 * done, it can be said again without harm.
 * @returns the first answer, or undefined for the first use
 * @throws {AppError} 422 if the key was used for another request; 404 if what it made is gone
 */
export async function claimKey<T extends object>(
  tx: Transaction,
  claim: Claim,
  request: object,
): Promise<T | undefined> {
  const requestHash = createHash('sha256').update(JSON.stringify(request)).digest();
  const sequelize = IdempotencyKey.sequelize;
  if (!sequelize) throw new Error('the models are not bound');
  const claimed = await sequelize.query(
    `insert into idempotency_keys (user_id, key, request_hash) values ($1, $2, $3) on conflict do nothing returning 1`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [claim.userId, claim.key, requestHash] },
  );
  if (claimed.length > 0) return undefined;
  const first = await IdempotencyKey.findOne({ where: { ...claim }, transaction: tx });
  if (!first?.requestHash.equals(requestHash)) {
    throw new AppError('idempotency_mismatch', 'This Idempotency-Key was used for another request.', {
      errors: [
        {
          loc: ['header', 'idempotency-key'],
          msg: '"idempotency-key" was used for another request',
          type: 'any.reused',
        },
      ],
    });
  }
  if (!first.answer)
    throw new AppError('not_found', 'What this Idempotency-Key made has been deleted since.');
  return first.answer as T;
}

/** Keeps the answer to be given again. In the same transaction as the claim. */
export async function keepAnswer(
  tx: Transaction,
  claim: Claim,
  postId: number,
  answer: object,
): Promise<void> {
  await IdempotencyKey.update({ postId, answer }, { where: { ...claim }, transaction: tx });
}

/** Deleted is gone, from here too. The key stays claimed, so that a late repetition does not write the post again. */
export async function forgetAnswers(tx: Transaction, postId: number): Promise<void> {
  await IdempotencyKey.update({ answer: null }, { where: { postId }, transaction: tx });
}
