import type { Request, Response } from 'express';
import type { Identity } from '../../identity.ts';
import { type BatchView, JoinedBuffers } from '../../delivery/batch.ts';
import { isEndOfSession } from '../../delivery/connections.ts';
import type { Delivery } from '../../delivery/delivery.ts';
import { FeedSubscriber, type Greeting, SOFT_MARK } from '../../delivery/subscriber.ts';
import type { Position, SessionCloseCode } from '../../protocol.ts';
import { isWritable, whenOver } from '../../async/response-end.ts';
import { subscriptionTo } from '../../topics/subscription.ts';
import type { Metrics } from '../../ops/metrics.ts';
import { addressOf, endOf, type EntryContext, takeConnectionSlot } from '../entry.ts';

/** A comment line as often as this keeps proxies from closing a quiet stream. Milliseconds. */
const HEARTBEAT = 15_000;
/** How long a client may take to read the last words of a stream before its connection is ended. Milliseconds. */
const LAST_WORDS = 1000;

/**
 * Serves the feed as Server-Sent Events (the HTML standard, 9.2): a transport of `Delivery`, beside the sockets. The `id` of
 * each event is `epoch:seq`, so a browser's own reconnection resumes exactly.
 * @returns when the stream has begun
 * @throws {AppError} 401, 429, 503 before it has
 */
export async function openEventStream(
  ctx: EntryContext,
  user: Identity,
  query: { after?: number; epoch?: string; topics?: readonly string[] },
  req: Request,
  res: Response,
): Promise<void> {
  const { delivery, liveSessions } = ctx;
  delivery.requireOpen();
  takeConnectionSlot(ctx, user, res);
  const stream = new EventStream(user, res, query.topics, ctx);
  // Nothing follows the headers: a stream would keep the connection for nothing, and the next request on it waiting.
  if (req.method === 'HEAD') {
    stream.sendHead();
    res.end();
    return;
  }
  delivery.enter(stream);
  whenOver(res, () => delivery.remove(stream));
  try {
    await liveSessions.require(user, { fresh: true, senders: () => stream.senders });
    if (stream.endCode !== undefined) throw endOf(stream.endCode);
  } catch (error) {
    delivery.remove(stream);
    throw error;
  }
  stream.sendHead();
  const { after, epoch } = startOf(query, req.get('last-event-id'));
  delivery.admit(stream, after, epoch);
}

function startOf(
  query: { after?: number; epoch?: string },
  lastEventId: string | undefined,
): { after: number | undefined; epoch: string | undefined } {
  if (lastEventId === undefined || lastEventId === '') return { after: query.after, epoch: query.epoch };
  const at = lastEventId.lastIndexOf(':');
  return { after: Number(lastEventId.slice(at + 1)), epoch: at < 0 ? query.epoch : lastEventId.slice(0, at) };
}

/** One stream. Every byte after its head leaves by `#write`, which writes nothing to a response that has ended. */
class EventStream extends FeedSubscriber {
  /** Why it was ended before it had begun. */
  endCode: SessionCloseCode | undefined;
  readonly #res: Response;
  readonly #delivery: Delivery;
  readonly #metrics: Metrics;
  #began = false;
  #wroteAt = Date.now();
  /** The last position that was told without an event. */
  #told = 0;

  constructor(
    identity: Identity,
    res: Response,
    topics: readonly string[] | undefined,
    { delivery, metrics }: { delivery: Delivery; metrics: Metrics },
  ) {
    super(identity, addressOf(res), subscriptionTo(topics));
    this.#res = res;
    this.#delivery = delivery;
    this.#metrics = metrics;
  }

  get open(): boolean {
    return !this.ended && isWritable(this.#res);
  }

  get pending(): number {
    return this.#res.writableLength;
  }

  sendHead(): void {
    this.#began = true;
    this.#res.status(200).set({
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    });
    this.#res.flushHeaders();
  }

  writeEvents(view: BatchView, from: number, to: number): number {
    this.#write(view.as(encodeView).between(from, to));
    return to - from;
  }

  /**
   * Says only that a position could not be served, and where it continues from: the events tell the rest by themselves.
   */
  greet({ epoch, seq, outcome, reason }: Greeting): void {
    if (outcome === 'reset')
      this.#write(`id: ${epoch}:${seq}\nevent: reset\ndata: ${JSON.stringify({ epoch, seq, reason })}\n\n`);
  }

  /** A page that does not listen to `feed:head` knows no more than the events. */
  readonly seesHeads = false;

  /**
   * Moves the position, so a quiet stream never falls out of the log. An `id` by itself would do that in a browser, but some
   * clients pass over it, and others make an empty event of it; likewise of a blank line behind a comment.
   */
  writeHead({ seq, prev }: Position): void {
    if (seq > prev && seq > this.#told) {
      this.#told = seq;
      this.#write(
        `id: ${this.#delivery.epoch}:${seq}\nevent: feed:head\ndata: ${JSON.stringify({ seq, prev })}\n\n`,
      );
    } else if (Date.now() - this.#wroteAt >= HEARTBEAT) this.#write(':\n');
  }

  writeCount(): void {
    // A stream has no mode in which it counts.
  }

  expiring(expiresAt: number): void {
    if (this.#began)
      this.#write(
        `event: session:expiring\ndata: ${JSON.stringify({ expires_at: new Date(expiresAt).toISOString() })}\n\n`,
      );
  }

  end(code: SessionCloseCode, detail: string): void {
    if (this.ended) return;
    this.endCode = code;
    // Before its head is sent, an answer says why.
    if (!this.#began) {
      this.#delivery.remove(this);
      return;
    }
    this.#write(`event: session:closed\ndata: ${JSON.stringify({ code, detail })}\n\n`);
    this.#delivery.remove(this);
    this.#metrics.sessionsClosed.inc({ code });
    const isRevoked = isEndOfSession(code);
    // Its last words would wait as long as the rest; and behind what is still on its way to it, events would follow the end of
    // a session.
    if (code === 'slow_consumer' || (isRevoked && this.pending > SOFT_MARK)) {
      this.terminate();
      return;
    }
    if (!this.#res.writableEnded) this.#res.end();
    // A node that stops ends what is left by itself.
    if (code !== 'draining') setTimeout(() => this.terminate(), LAST_WORDS).unref();
  }

  /** What is on its way cannot be told apart: the connection ends, and the client resumes without it. */
  takeBack(): void {
    if (!this.#began || this.pending === 0) return;
    this.end('reset', 'What you hear has changed. Connect again.');
    this.terminate();
  }

  terminate(): void {
    this.#delivery.remove(this);
    // Once it has been sent whole, the connection belongs to the next request.
    if (!this.#res.writableFinished) this.#res.req.socket.destroy();
  }

  #write(text: string | Buffer): void {
    if (!this.open) return;
    this.#wroteAt = Date.now();
    this.#res.write(text);
    if (this.pending > 0) this.#delivery.unread.add(this);
  }
}

/** The events of a view, for `BatchView.as`. The payload is an object in JSON, and `prev` its last member. */
function encodeView({ epoch, events }: BatchView): JoinedBuffers {
  return new JoinedBuffers(
    events.map(({ entry: { seq, name, json }, prev }) => {
      const data = `${json.slice(0, json.lastIndexOf('}'))},"prev":${prev}}`;
      return Buffer.from(`id: ${epoch}:${seq}\nevent: ${name}\ndata: ${data}\n\n`);
    }),
  );
}
