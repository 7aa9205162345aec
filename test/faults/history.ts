import type { FeedEventName, FeedEvents, PostView, Ready } from '../../server/contract.ts';
import type { Misconduct } from '../support/node-process.ts';

/**
 * What a run leaves behind, for the checker to judge. Times are milliseconds since 1970, all of one clock: the writers,
 * the clients and anyone who makes the faults live in one process.
 */
export interface History {
  writes: Write[];
  clients: ClientHistory[];
  /** The position at which the history begins: 0, or the head of a database that had a past. */
  base: number;
  /** The log table at the end, by seq, what lies after `base`. */
  log: LogRow[];
  /** `feed_head.seq` at the end. */
  head: number;
  /** How each event looked when a client first got it with its text: the log itself forgets that of a deleted post. */
  firstSeen: Map<number, FeedEvents[FeedEventName]>;
  atRest: AtRest;
  /** Two clients were told different numbers of votes for one post at one rev. */
  tallyConflicts: string[];
  misconduct: Misconduct[];
  convergences: Convergence[];
}

/** `ok`: answered 2xx. `refused`: 4xx, or it never left. `unknown`: 5xx, no answer in time, a connection that broke. */
export type Outcome = 'ok' | 'refused' | 'unknown';

export type Operation =
  'create' | 'draft' | 'reply' | 'edit' | 'publish' | 'withdraw' | 'delete' | 'vote' | 'unvote';

/** One write, with all its repetitions under one idempotency key. */
export interface Write {
  /** Unique; stands at the beginning of the title that it writes, or of a reply, if it writes one. */
  key: string;
  op: Operation;
  userId: number;
  begin: number;
  end: number;
  outcome: Outcome;
  /** The last status, or undefined without an answer. */
  status: number | undefined;
  /** Undefined for a creation that was not answered. */
  postId: number | undefined;
  /** Of the post after it, from the answer; what it would be, if there was none. */
  version: number | undefined;
  /** The event that it makes if it is done; undefined if nobody is to hear of it. */
  event: FeedEventName | undefined;
}

export interface LogRow {
  seq: number;
  outboxId: number;
  name: FeedEventName;
  postId: number;
  topics: string[];
  data: FeedEvents[FeedEventName];
}

/** What a client subscribes to, and in whose name. Whom they follow does not change while they listen. */
export interface View {
  topics: readonly string[];
  userId: number;
  follows: readonly number[];
}

/**
 * `stock`: socket.io-client alone, so what it hears is what was on the wire; `stream` and `poll`: the same over Server-Sent
 * Events and long-polling. `package`: ours, after its own repairs.
 */
export type ClientKind = 'stock' | 'stream' | 'poll' | 'package';

export interface ClientHistory {
  client: string;
  kind: ClientKind;
  /** Undefined for one that takes everything public. */
  view: View | undefined;
  /** The position from which its events count; undefined if it never got to `ready`. */
  start: number | undefined;
  connections: Connection[];
  deliveries: Delivery[];
  /** Post → the tally with the highest rev that it knows. */
  tallies: Map<number, { votes: number; rev: number }>;
  /** When its token ended or was revoked; undefined if it lived on. */
  endOfSession: number | undefined;
  /** Whether it is to be at the head when all is at rest; not so for one that has left or was ended. */
  present: boolean;
}

export interface Connection {
  openedAt: number;
  /** What it asked to resume from. */
  after: number | undefined;
  /** With the client's own position when it came. */
  ready: (Omit<Ready, 'protocol'> & { at: number; position: number }) | undefined;
  closedAt: number | undefined;
  reason: string | undefined;
  /** When the token ends that its last request carried; undefined for a socket, which renews its token in place. */
  tokenEndsAt: number | undefined;
}

export interface Delivery {
  /** Index into `connections`. */
  connection: number;
  at: number;
  seq: number;
  /** The number of the event before it, as the delivery says. */
  prev: number;
  /** The client's position when it came; undefined for `package`, which repairs gaps by itself. */
  position: number | undefined;
  name: FeedEventName;
  /** The post's id. */
  id: number;
  /** Of the whole payload; see `fingerprint`. */
  hash: number;
  redacted: boolean;
}

/** What the database and REST say when nothing happens any more. */
export interface AtRest {
  posts: {
    id: number;
    published: boolean;
    version: number;
    /** Of a reply its content. */
    title: string;
    votes: number;
    rev: number;
    counted: number;
  }[];
  /** Rows of `votes`. */
  votes: { userId: number; postId: number }[];
  /** Per node: what `GET /posts` says of each visible post. */
  rest: { node: string; tallies: Map<number, { votes: number; rev: number }> }[];
}

/** How long it took after a fault was healed until every client was at the head. Milliseconds. */
export interface Convergence {
  after: string;
  took: number;
  bound: number;
}

export function isPost(data: FeedEvents[FeedEventName]): data is PostView {
  return 'title' in data;
}

/** The key of the write that gave a post this title, or a reply this content. */
export function keyOf(title: string): string {
  return title.split(' ', 1)[0] ?? '';
}

/**
 * A number of 53 bits that stands for a payload (cyrb53): two payloads that differ in a byte or in the order of their fields
 * differ in it, but for one chance in 10^15.
 */
export function fingerprint(name: string, data: unknown): number {
  const text = name + JSON.stringify(data);
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    a = Math.imul(a ^ code, 2_654_435_761);
    b = Math.imul(b ^ code, 1_597_334_677);
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & b) + (a >>> 0);
}
