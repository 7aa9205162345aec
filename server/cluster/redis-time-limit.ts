import { withTimeout } from '../async/timeout.ts';

/** Redis has not answered in time. */
export class TooSlow extends Error {
  override readonly message = 'Redis is too slow';
}

/** What Redis answers. @throws {TooSlow} if that takes longer; the command itself continues */
export function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  return withTimeout(milliseconds, work, () => new TooSlow());
}
