import { createHash } from 'node:crypto';
import { IdempotencyKey } from '../../models/index.ts';
import type { DatabaseShare } from '../database/connection-queue.ts';
import { AppError } from '../errors.ts';

/** The claim of an idempotency key: its user, since two users may use the same key, and its request. */
export interface Claim {
  userId: number;
  key: string;
  /** SHA-256. */
  requestHash: Buffer;
}

/** @param request what the key is used for, with its members in one order */
export function claimOf(userId: number, key: string, request: object): Claim {
  return { userId, key, requestHash: createHash('sha256').update(JSON.stringify(request)).digest() };
}

/**
 * The stored response to the first request with an idempotency key that has been used. So a client can safely retry
 * after a lost connection.
 * @returns undefined if the key is not taken
 * @throws {AppError} 422 if the key was used for another request; 404 if what it made is gone
 */
export async function firstAnswer<T extends object>(
  db: DatabaseShare,
  { userId, key, requestHash }: Claim,
): Promise<T | undefined> {
  const first = await db.run(() => IdempotencyKey.findOne({ where: { userId, key } }));
  if (!first) return undefined;
  if (!first.requestHash.equals(requestHash)) {
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
    throw new AppError('not_found', 'The post that was created with this Idempotency-Key has been deleted.');
  return first.answer as T;
}
