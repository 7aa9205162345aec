import type Joi from 'joi';
import type { Identity } from '../../identity.ts';
import type { Connection, Connections } from '../../delivery/connections.ts';
import type { Delivery } from '../../delivery/delivery.ts';
import { AppError, invalid, tooManyRequests } from '../../errors.ts';
import type { Tally } from '../../protocol.ts';
import { check, type Infer } from '../../api/schema.ts';
import type { Logger } from '../../logger.ts';
import { requirePayloadLimits } from './payload-limits.ts';
import type { RequestBuckets } from './token-buckets.ts';
import * as schemas from './schemas.ts';
import type { Subscriber } from './subscriber.ts';
import type { TallyDelivery } from './tally-delivery.ts';

export interface RequestOptions {
  log: Logger;
  delivery: Delivery;
  tallies: TallyDelivery;
  buckets: RequestBuckets;
  connections: Connections;
  verify: (token: string, senders: () => readonly string[]) => Identity | Promise<Identity>;
  requireSession: (identity: Identity, subscriber: Subscriber) => Promise<void>;
  talliesOf: (subscriber: Subscriber, postIds: readonly number[]) => Promise<Tally[]>;
  onCodedError: (error: unknown) => AppError | undefined;
}

/** The token bucket of one socket: its size, and how many requests are refilled per second. */
const BURST = 40;
const PER_SECOND = 20;
/** Refused requests before the socket is closed (`flooding`); they expire at the refill rate. */
const FLOOD = 200;
/** Faults told of one input: its answer waits in the memory of a client that may not read. */
export const MAX_FAULTS = 50;
/** Posts that one socket tracks. */
const MAX_TRACKED = 5000;

/** One message that a client may send: its payload's schema, and what is done with it. */
interface Request<S extends Joi.AnySchema = Joi.AnySchema> {
  schema: S;
  handle: (subscriber: Subscriber, payload: Infer<S>, options: RequestOptions) => unknown;
}

function request<S extends Joi.AnySchema>(schema: S, handle: Request<S>['handle']): Request {
  return { schema, handle };
}

/** Every message that a client may send. The socket document is read off it. */
export const requests: Record<string, Request> = {
  track: request(schemas.track, async (subscriber, { post_ids }, { tallies, talliesOf }) => {
    const named = new Set(post_ids);
    const added = [...named].filter((id) => !subscriber.tracked?.has(id)).length;
    if ((subscriber.tracked?.size ?? 0) + added > MAX_TRACKED) {
      throw new AppError('invalid', `A connection tracks at most ${MAX_TRACKED} posts. Untrack some.`);
    }
    // Tracked before they are read, so that no change between the two is missed: `rev` tells which is newer.
    tallies.track(subscriber, named, named);
    let found: Tally[] = [];
    try {
      found = await talliesOf(subscriber, post_ids);
    } finally {
      tallies.retain(subscriber, named, named, found);
    }
    return { tallies: found };
  }),
  untrack: request(schemas.untrack, (subscriber, { post_ids }, { tallies }) => {
    tallies.untrack(subscriber, post_ids);
    return { tracked: subscriber.tracked?.size ?? 0 };
  }),
  subscribe: request(schemas.subscribe, async (subscriber, { topics, from, epoch }, { delivery }) => {
    const { seq, events, reset } = await delivery.subscribe(subscriber, { topics, from, epoch });
    const answered = events.map(({ seq, name, json }) => ({ seq, name, data: JSON.parse(json) as unknown }));
    return { seq, events: answered, ...(reset.length > 0 && { reset }) };
  }),
  unsubscribe: request(schemas.unsubscribe, (subscriber, { topics }, { delivery }) => ({
    topics: delivery.unsubscribe(subscriber, topics),
  })),
  'feed:mode': request(schemas.feedMode, (subscriber, { mode }, { delivery }) => ({
    mode,
    seq: delivery.setMode(subscriber, mode),
  })),
  'auth:renew': request(
    schemas.renew,
    async (subscriber, { token }, { connections, verify, requireSession }) => {
      const identity = await verify(token, () => subscriber.senders);
      if (identity.id !== subscriber.identity.id) {
        throw new AppError('forbidden', 'A connection cannot change its user.');
      }
      // Registered under its new session before that is checked, so that no revocation is missed in between.
      let ended = false;
      const candidate: Connection = { identity, end: () => (ended = true) };
      connections.add(candidate);
      try {
        await requireSession(identity, subscriber);
      } finally {
        connections.remove(candidate);
      }
      if (ended || subscriber.ended) throw new AppError('unauthorized', 'The session has ended.');
      connections.remove(subscriber);
      subscriber.identity = identity;
      connections.add(subscriber);
      return { expires_at: new Date(identity.expiresAt).toISOString() };
    },
  ),
};

/**
 * Answers the requests of a socket. Nothing is trusted: the payload, the number of arguments, whether there is an
 * acknowledgement function, and the rate. No client input may end the process.
 */
export function answerRequests(subscriber: Subscriber, options: RequestOptions): void {
  const bucket = { tokens: BURST, at: Date.now(), refused: 0 };
  subscriber.socket.onAny((given: unknown, ...args: unknown[]) => {
    // What was on its way when the socket ended.
    if (subscriber.ended) return;
    const name = String(given).slice(0, 50); // the protocol lets numbers through
    const last = args.at(-1);
    const told = typeof last === 'function' ? (last as (answer: unknown) => void) : undefined;
    const acknowledge = (answer: object) => {
      told?.(answer);
      subscriber.noteAnswer();
    };
    const payload = args.length > (told ? 1 : 0) ? args[0] : undefined;
    // A handler that throws at once is a refusal like one that rejects.
    void new Promise((resolve) => resolve(answer(subscriber, name, payload, options, bucket))).then(
      (data) => acknowledge({ ok: true, data }),
      (error: unknown) => {
        const known = options.onCodedError(error);
        if (!known)
          options.log.error({ err: error, event: name }, 'a socket request failed because of a bug');
        const problem = (
          known ?? new AppError('internal', 'Something went wrong here. It has been logged.')
        ).toProblem();
        acknowledge({ ok: false, error: problem });
      },
    );
  });
}

function answer(
  subscriber: Subscriber,
  name: string,
  payload: unknown,
  options: RequestOptions,
  bucket: { tokens: number; at: number; refused: number },
): unknown {
  const now = Date.now();
  const regained = (Math.max(0, now - bucket.at) / 1000) * PER_SECOND;
  bucket.tokens = Math.min(BURST, bucket.tokens + regained);
  bucket.refused = Math.max(0, bucket.refused - regained);
  bucket.at = now;
  if (bucket.tokens < 1) {
    bucket.refused += 1;
    if (bucket.refused > FLOOD) subscriber.end('flooding', 'Too many messages.');
    throw tooManyRequests(`A connection may send ${PER_SECOND} messages a second.`, 1);
  }
  bucket.tokens -= 1;
  if (options.delivery.isFull(subscriber)) {
    // It sends requests but does not read the responses: backpressure.
    subscriber.end('slow_consumer', 'The client does not read the responses that are sent to it.');
    throw tooManyRequests('The client does not read the responses that are sent to it.', 1);
  }
  const known = Object.hasOwn(requests, name) ? requests[name] : undefined;
  if (!known) throw new AppError('not_found', `Unknown message "${name}".`);
  const items = requirePayloadLimits('payload', payload);
  const spent = options.buckets.spend(subscriber, items);
  if (spent !== undefined) {
    throw tooManyRequests(`This ${spent} sends too many requests over all connections together.`, 1);
  }
  // Joi would let what is absent through.
  const input = check(known.schema, 'payload', payload ?? null);
  if (input.errors) throw invalid(input.errors, MAX_FAULTS);
  return known.handle(subscriber, input.value, options);
}
