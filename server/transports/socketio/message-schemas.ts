import Joi from 'joi';
import type {
  Ack,
  AnsweredEvent,
  ClientToServer,
  FeedMode,
  Position,
  Problem,
  Ready,
  ServiceMessages,
  SessionCloseCode,
  Subscribed,
  Tally,
} from '../../protocol.ts';
import { problem } from '../../api/problem.ts';
import type { DeclaredEvent } from '../../topics/event-type.ts';
import { count, exactly, id, listOf, object, oneOf, optional, timestamp } from '../../api/schema.ts';
import { PROTOCOL } from './protocol-version.ts';

/**
 * The schemas of all socket messages, checked against the event maps in events.ts: a message that is added there and
 * not here, or has another shape, does not compile. The events of the log are told by anyone who declares them.
 */

/** The schemas of the payloads that belong to another capability. */
export interface FeedSchemas {
  tally: Joi.AnySchema<Tally>;
}

type Schemas<Args extends unknown[]> = { [I in keyof Args]-?: Joi.AnySchema<Exclude<Args[I], undefined>> };

/** A message of the server: when it is said, and its arguments in order. */
interface ServerMessage<Args extends unknown[]> {
  summary: string;
  description?: string;
  args: Schemas<Args>;
}

const seq = count()
  .description('The number of the event in the log: 1, 2, 3 … without gaps, the same for everyone')
  .example(4711);
const prev = count()
  .description(
    'Between this number and `seq` there is nothing for you: less than your position, or equal to it, unless you missed something',
  )
  .example(4710);
const epoch = Joi.string()
  .guid()
  .description('The epoch: the identity of this numbering, which a restored database replaces')
  .example('0b8b8f2e-6d0f-4d0e-9c39-2f6a1c1f7a51');

const position = exactly<Position>()(object({ seq, prev }).id('Position'));

const ready = exactly<Ready>()(
  object({
    protocol: count()
      .valid(PROTOCOL)
      .description(
        'The version of this protocol. New messages and members do not change it, so ignore unknown ones; it increases when a client of the previous version would misunderstand messages. Services from before version 1 do not send it.',
      )
      .example(PROTOCOL),
    epoch,
    seq: count().description('Your position from now on').example(4711),
    user_id: id().description('Who the token says you are').example(1),
    outcome: oneOf('current', 'replayed', 'reset').description(
      '`current`: nothing was missed; `replayed`: the missed events have been sent; `reset`: your position cannot be served, so read GET /posts again and continue from `seq`',
    ),
    reason: optional(oneOf('too_old', 'epoch_changed', 'future').description('Why, at a `reset`')),
  }).id('Ready'),
);

const moreTallies = exactly<{ incomplete: true }>()(
  object({
    incomplete: Joi.boolean()
      .valid(true)
      .description('More tallies have changed than are sent one by one')
      .example(true) as Joi.Schema<true>,
  }).id('MoreTallies'),
);

const feedNews = exactly<{ count: number; seq: number }>()(
  object({ count: count().description('Events since the last such message').example(12), seq }).id(
    'FeedNews',
  ),
);

const sessionExpiring = exactly<{ expires_at: string }>()(
  object({ expires_at: timestamp().example('2030-01-01T12:00:00.000Z') }).id('SessionExpiring'),
);

const sessionEnd = exactly<{ code: SessionCloseCode; detail: string }>()(
  object({
    code: oneOf('slow_consumer', 'revoked', 'suspended', 'expired', 'draining', 'reset', 'flooding'),
    detail: Joi.string()
      .description('A sentence for people; it may change')
      .example('The session has ended.'),
  }).id('SessionEnd'),
);

/** An event of the log as a message: its payload and its position. */
export function eventMessage({
  summary,
  description,
  schema,
}: DeclaredEvent): ServerMessage<[data: unknown, at: Position]> {
  const texts = description === undefined ? { summary } : { summary, description };
  return { ...texts, args: [schema, position] };
}

/** All other messages of the server. */
export function serverMessages({ tally }: FeedSchemas): {
  [N in keyof ServiceMessages]: ServerMessage<Parameters<ServiceMessages[N]>>;
} {
  return {
    ready: {
      summary: 'You are up to date',
      description: 'Once, after the missed events and before the first live one.',
      args: [ready],
    },
    votes: {
      summary: 'Tallies that changed',
      description:
        'Coalesced and absolute: of two tallies of one post keep the one with the higher `rev`. In mode `tracked`, only for the posts that you track. `incomplete` comes only in mode `all`, when more tallies have changed than are sent one by one (an import, a recount): request the posts that you show again, with `track` or `GET /posts`, after a random delay of a few seconds.',
      args: [listOf(tally), optional(moreTallies)],
    },
    'feed:head': {
      summary: 'The head of the log',
      description:
        'About every two seconds, unless an event has just carried the same position: between `prev` and `seq` there is nothing for you. It moves your position like an event; if `prev` is beyond your position, you missed an event: connect again. In mode `count` it only reports the head; it is not sent in mode `off`.',
      args: [position],
    },
    'feed:count': {
      summary: 'The number of new events',
      description: 'In mode `count`, at most once a second.',
      args: [feedNews],
    },
    'session:expiring': {
      summary: 'Your token expires soon',
      description: 'Send `auth:renew` with a new one.',
      args: [sessionExpiring],
    },
    'session:closed': {
      summary: 'The end of this connection',
      description:
        'The last message. After `revoked`, `suspended`, `expired` and `flooding` the server disconnects the socket, and a stock client does not reconnect; after `slow_consumer`, `draining` and `reset` only the transport closes, and a stock client reconnects by itself.',
      args: [sessionEnd],
    },
  };
}

type AckData<N extends keyof ClientToServer> =
  Parameters<ClientToServer[N]>[1] extends Ack<infer T> ? T : never;

/** A request of the client: what it asks, and the schema of what the answer holds if it is accepted. */
interface ClientMessage<N extends keyof ClientToServer> {
  summary: string;
  description?: string;
  data: Joi.AnySchema<AckData<N>>;
}

/** All requests of a client. The schemas of their payloads are in requests.ts. */
export function clientMessages({ tally }: FeedSchemas): {
  [N in keyof ClientToServer]: ClientMessage<N>;
} {
  return {
    track: {
      summary: "Start to receive these posts' tallies",
      description:
        'The response has the current tallies of the posts that you may see. The others are not tracked: track them again when they are published.',
      data: exactly<{ tallies: Tally[] }>()(object({ tallies: listOf(tally) })),
    },
    untrack: {
      summary: "Stop receiving these posts' tallies",
      description: 'Posts that are not tracked are passed over.',
      data: exactly<{ tracked: number }>()(
        object({ tracked: count().description('How many posts are still tracked').example(12) }),
      ),
    },
    subscribe: {
      summary: 'Subscribe to further topics',
      description:
        'Read a list first and name its `X-Feed-Seq` as `from`: then nothing is missed and nothing comes twice. Not for a connection that receives everything public: connect with `topics`.',
      data: subscribed,
    },
    unsubscribe: {
      summary: 'Unsubscribe from topics',
      description: 'After the response nothing of them is sent. The response has the topics that are left.',
      data: exactly<{ topics: string[] }>()(object({ topics: topicList })),
    },
    'feed:mode': {
      summary: 'Change the feed mode',
      description:
        'Events that come while the mode changes are not sent: continue from the `seq` of the response.',
      data: exactly<{ mode: FeedMode; seq: number }>()(object({ mode: oneOf('live', 'count', 'off'), seq })),
    },
    'auth:renew': {
      summary: 'Continue with a new token of the same user',
      description:
        'Nothing is missed meanwhile. If it is refused, for instance as that of another user, the old one stays in force.',
      data: exactly<{ expires_at: string }>()(
        object({ expires_at: timestamp().example('2030-01-01T12:00:00.000Z') }),
      ),
    },
  };
}

const answeredEvent = exactly<AnsweredEvent>()(
  object({
    seq,
    name: Joi.string().description('The name of the message that it would have come as'),
    data: Joi.any().description('Its payload') as Joi.AnySchema<unknown>,
  }).id('AnsweredEvent'),
);

const topicList = listOf(Joi.string().example('thread:7'));

const subscribed = exactly<Subscribed>()(
  object({
    seq: count()
      .description('Where the stream continues with these topics: it moves your position, like an event')
      .example(4711),
    events: listOf(answeredEvent).description(
      'Those of these topics after `from`, up to `seq`; also what you received because of another topic',
    ),
    reset: optional(
      topicList.description(
        'Those of the topics of which more has come than one answer holds (500 events, about 160 kB), or of which the log no longer has all: read their lists again. They are live all the same',
      ),
    ),
  }).id('Subscribed'),
);

const refused = object({ ok: oneOf(false), error: exactly<Problem>()(problem) }).id('Refused');

/** An acknowledgement: the answer to a request, or the problem that REST would answer with. */
export function acknowledgement(data: Joi.AnySchema): Joi.AnySchema {
  return Joi.alternatives(object({ ok: oneOf(true), data }), refused);
}

/** What a stock client gets as `connect_error`: `message`, and the problem as `data`. */
export const connectError = object({
  message: Joi.string().description('The `detail` of the problem').example('The token has expired.'),
  data: problem,
}).id('ConnectError');
