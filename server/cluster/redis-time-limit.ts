/** Redis has not answered in time. */
export class TooSlow extends Error {
  constructor() {
    super('Redis is too slow');
  }
}

/** What Redis answers. @throws {TooSlow} if that takes longer; the command itself goes on */
export function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TooSlow()), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
