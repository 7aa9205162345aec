/**
 * How long a webhook is left to a process that says nothing more of it: longer than a post, which begins only if it ends before the
 * lease. Milliseconds.
 */
export const LEASE = 20_000;

/** A webhook that this process works. */
export interface Run {
  id: string;
  /** Who holds its lease: another for each run, so that one that has lost it can write nothing. */
  holder: string;
  userId: number;
  since: number;
  /** Of the attempt that was begun last. */
  version: number;
  /** Until when no other process takes it, by the clock of `performance`. Milliseconds. */
  leaseEnds: number;
  stop: AbortController;
  /** Ends a wait for events: the webhook has to be looked at. */
  wake: AbortController;
  ended: Promise<void>;
}

/** Ends what a run does at once, also what is on its way. */
export function halt({ stop, wake }: Run): void {
  stop.abort();
  wake.abort();
}
