/** A rate limit: points per window, and the window's length in seconds. */
export interface Limit {
  points: number;
  duration: number;
}

/** How a count stands after a point has been taken. */
export interface Count {
  consumedPoints: number;
  /** Until the window ends and the count begins again. Milliseconds. */
  msBeforeNext: number;
}

/**
 * A place where counts, and sets whose members expire, are kept. Every method resolves in bounded time and never rejects;
 * `undefined` means that the store does not answer, and that what was asked of it is not done later either.
 */
export interface LimitStore {
  /** Takes one point. A window begins with its first point. @param seconds the length of the window */
  take(key: string, seconds: number): Promise<Count | undefined>;
  /** How many points are taken in the window that runs. */
  taken(key: string): Promise<number | undefined>;
  /** Gives back a point that was taken in a window that still runs. */
  giveBack(key: string, seconds: number): Promise<void>;
  /** Adds a member to a set. @param until when it expires, in milliseconds since 1970 */
  remember(set: string, member: string, until: number): Promise<void>;
  /** Whether one of these is a member of the set. */
  knows(set: string, members: readonly string[]): Promise<boolean | undefined>;
  forget(set: string): Promise<void>;
}

/** Members that one set keeps at most, the newest. */
export const MEMBERS = 100;
