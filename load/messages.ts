import type { Tally } from '../server/contract.ts';

/** What the load test and its loader processes say to each other. */

/** A place in the log. */
export interface Position {
  epoch: string;
  seq: number;
}

export interface BeginLoader {
  type: 'begin';
  url: string;
  localAddress: string | undefined;
  tokens: string[];
  /** What the clients subscribe to; without it, everything public. */
  topics: readonly string[] | undefined;
  /** The position that they come back with; without it, they come for the first time. */
  from: Position | undefined;
  sockets: number;
  posts: number;
  /** Handshakes begun per second, and in progress at once. */
  rate: number;
  together: number;
}

/** All has been written: wait until every client has it. */
export interface SettleLoader {
  type: 'settle';
  head: number;
  tallies: Tally[];
  /** Milliseconds. */
  limit: number;
}

export type ToLoader = BeginLoader | SettleLoader | { type: 'end' };

/** What happened in one loader since its last report. Numbers of events are counted once per client. */
export interface LoaderProgress {
  type: 'progress';
  connected: number;
  /** Clients that have been tried, whatever became of them. */
  tried: number;
  events: number;
  tallyFrames: number;
  /** Pings and beacons. */
  beats: number;
  bytes: number;
  /** `Delays` from the start of the writing transaction, and from the moment that the writer asked; encoded. */
  sinceWritten: string;
  sinceAsked: string;
}

export interface LoaderRamped {
  type: 'ramped';
  /** Clients that were never let in, by reason. */
  refused: Record<string, number>;
  /** How long handshakes took; `Delays`, encoded. */
  handshakes: string;
}

/** What a loader's clients were handed, held against what was written. */
export interface LoaderVerdict {
  type: 'verdict';
  clients: number;
  lost: number;
  doubled: number;
  outOfOrder: number;
  /** Tallies that a client still holds an old number of. */
  stale: number;
  contradictions: string[];
  /** Connections that ended by themselves, by reason, and how many came back. */
  dropped: Record<string, number>;
  returned: number;
  resets: number;
  /** The posts that were told as new, with their seq. */
  created: { postId: number; seq: number }[];
}

export type FromLoader = LoaderProgress | LoaderRamped | LoaderVerdict;
