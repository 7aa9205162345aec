/**
 * What the server and a client say to each other, whatever the events are: positions, problems, handshakes, tallies and the
 * messages about the subscription itself. Types alone. `contract.ts` adds the events of the capabilities.
 */

/** The absolute numbers of votes on a post and of replies below it. Of two, keep the one with the higher `rev`. */
export interface Tally {
  post_id: number;
  votes: number;
  replies: number;
  rev: number;
}

/**
 * Where in the feed a message stands. `seq` counts 1, 2, 3 … without gaps, the same for every client on every node. Between
 * `prev` and `seq` there is nothing for this subscription, so a client at position p takes the message if prev ≤ p < seq,
 * ignores it if seq ≤ p, and has missed something if prev > p: it connects again with p.
 */
export interface Position {
  seq: number;
  /** Where everything before is for everyone: the number of the event before it. */
  prev: number;
}

/** RFC 9457. The same object in a REST answer, in a refused handshake's `data` and in a refused acknowledgement. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  request_id?: string;
  /** Seconds to wait before a retry, where a limit or an absence is the reason. */
  retry_after?: number;
  errors?: FieldError[];
}

/** One fault of an input, found by validation. */
export interface FieldError {
  /** Where: `["body", "title"]`. */
  loc: (string | number)[];
  msg: string;
  /** Joi's name for the rule that was broken: `string.max`. */
  type: string;
}

export type TallyMode = 'all' | 'tracked' | 'none';
export type FeedMode = 'live' | 'count' | 'off';

/** What a client sends in the handshake's `auth`. Without `after` the feed starts from now. */
export interface HandshakeAuth {
  token: string;
  /** The last seq that the client has seen. */
  after?: number;
  /** The epoch that `after` belongs to. */
  epoch?: string;
  tallies?: TallyMode;
  feed?: FeedMode;
  /**
   * `public` alone (everything public; the default), or any of `feed`, `home`, `author:ID`, `thread:ID` and `tag:NAME`.
   */
  topics?: string[];
}

export type ResetReason = 'too_old' | 'epoch_changed' | 'future';

export interface Ready {
  /** The version of what is said over the socket. It grows when a client that knows the one before would misunderstand it. */
  protocol: number;
  epoch: string;
  /** The position that the client now stands at: everything up to it has been sent or is its own affair. */
  seq: number;
  user_id: number;
  /** `reset`: the position could not be served; fetch `GET /posts` again and continue from `seq`. */
  outcome: 'current' | 'replayed' | 'reset';
  reason?: ResetReason;
}

/**
 * Why the server ends a socket. After `revoked`, `suspended`, `expired` and `flooding` the namespace is left, and a stock
 * client stays away; after `slow_consumer`, `draining` and `reset` only the transport closes, and it comes back by itself.
 */
export type SessionCloseCode =
  'slow_consumer' | 'revoked' | 'suspended' | 'expired' | 'draining' | 'reset' | 'flooding';

/** What a socket is sent beside the events. */
export interface ServiceMessages {
  /** Once, after the missed events and before the first live one. */
  ready: (state: Ready) => void;
  /**
   * The tallies that changed since the last such message. Absolute: keep the highest `rev`. `incomplete` comes in mode
   * `all` alone: more posts changed than are sent one by one, so read the tallies of the posts that you show again.
   */
  votes: (tallies: Tally[], more?: { incomplete: true }) => void;
  /**
   * Every two seconds: up to `seq` there is nothing after `prev` for this subscription. It moves the position like an event, and
   * tells a quiet client that it missed the newest one. In mode `count` it only says where the feed stands.
   */
  'feed:head': (head: Position) => void;
  /** In mode `count`, at most once a second: how many events have passed since the mode began or was last told. */
  'feed:count': (news: { count: number; seq: number }) => void;
  /** The token of this socket ends soon: say `auth:renew`. */
  'session:expiring': (session: { expires_at: string }) => void;
  /** The last message on this socket. */
  'session:closed': (end: { code: SessionCloseCode; detail: string }) => void;
}

/** Each request is answered, never thrown. */
export type Ack<T> = (answer: { ok: true; data: T } | { ok: false; error: Problem }) => void;

/**
 * An event in an answer, with its number: the client has had none of those between it and the one before it in the
 * list.
 */
export interface AnsweredEvent {
  seq: number;
  name: string;
  data: unknown;
}

/** The events of topics since a position, and where the stream continues with them. */
export interface Subscribed {
  /**
   * Everything up to here is in `events`, or has come before: it moves the position. What follows comes in the stream.
   */
  seq: number;
  events: AnsweredEvent[];
  /**
   * Those of the topics whose events could not be handed over: they are live all the same, and have to be read again as
   * lists.
   */
  reset?: string[];
}

export interface ClientToServer {
  /** Further topics. `from` is the position of what the client holds of them: it is answered with what came since. */
  subscribe: (request: { topics: string[]; from?: number; epoch?: string }, ack: Ack<Subscribed>) => void;
  /** Fewer topics; answers with those that are left. */
  unsubscribe: (request: { topics: string[] }, ack: Ack<{ topics: string[] }>) => void;
  /** Ask for these posts' tallies; answers with them as they stand. */
  track: (request: { post_ids: number[] }, ack: Ack<{ tallies: Tally[] }>) => void;
  untrack: (request: { post_ids: number[] }, ack: Ack<{ tracked: number }>) => void;
  'feed:mode': (request: { mode: FeedMode }, ack: Ack<{ mode: FeedMode; seq: number }>) => void;
  /** A fresh access token of the same user for this socket, without a reconnect. */
  'auth:renew': (request: { token: string }, ack: Ack<{ expires_at: string }>) => void;
}
