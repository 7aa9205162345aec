import { AppError } from '../errors.ts';

/**
 * The refusal of a write that a block forbids. One text for whoever blocked the other and whatever was to be written, so that
 * nobody learns who did.
 */
export function refusedByBlock(): AppError {
  return new AppError('forbidden', 'You may not do this.');
}
