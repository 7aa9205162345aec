import type { TestUser } from '../support/world.ts';
import type { ClientHistory, View } from './history.ts';
import type { Recorder } from './recorder.ts';

export interface ListenerOptions {
  name: string;
  url: string;
  user: Pick<TestUser, 'token' | 'email' | 'password'>;
  recorder: Recorder;
  /** Where to begin. Default: from now. */
  from?: { after: number; epoch: string };
  tallies?: 'all' | 'tracked';
  /** Default: everything public. */
  view?: View;
  /** Gives the token again each time that it has ended. Without it the client ends with its token. */
  renew?: () => Promise<string>;
}

/** A client of a run, of whichever kind. */
export interface Listener {
  readonly history: ClientHistory;
  /** Its position; undefined before the first `ready`. */
  readonly seq: number | undefined;
  readonly epoch: string | undefined;
  /** The connection that it has now has been greeted. */
  readonly ready: boolean;
  /** Whether it has asked for all tallies that it shows. */
  readonly settled: boolean;
  /** The longest time between two events. Milliseconds. */
  readonly longestSilence: number;
  start(): void;
  /** Closes it for good. */
  stop(): void;
}
