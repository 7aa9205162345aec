import { Agent, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { FeedEventName, FeedEvents, Position, ResetReason } from '../../server/contract.ts';
import { type ClientHistory, type ClientKind, type Connection, isPost } from './history.ts';
import { Heard } from './heard.ts';
import { claimsOf } from './token-claims.ts';
import type { Listener, ListenerOptions } from './listener.ts';

/** Who has heard not a byte for so long tries another connection. Milliseconds. */
const SILENCE = 4500;
/** Between a request that came to nothing and the next. Milliseconds. */
const RETRY = 300;

/** A request that came to nothing, or a stream that has ended: it is made again. */
export class Broken extends Error {}

/** A position in a numbering. */
export interface Place {
  seq: number;
  epoch: string;
}

/**
 * A client that follows the feed over plain HTTP. It reads `GET /posts` once, continues from the position of that page,
 * and believes everything: what it hears is what was on the wire. A connection of its history is one of TCP.
 */
export abstract class HttpListener implements Listener {
  readonly #heard: Heard;
  readonly #options: ListenerOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #sockets = new WeakSet<Socket>();
  #token: string | undefined;
  #position: Place | undefined;
  #stopped = false;

  constructor(kind: ClientKind, options: ListenerOptions) {
    this.#options = options;
    this.#position = options.from && { seq: options.from.after, epoch: options.from.epoch };
    this.#heard = new Heard(kind, options);
  }

  get seq(): number | undefined {
    return this.#position?.seq;
  }

  get epoch(): string | undefined {
    return this.#position?.epoch;
  }

  get history(): ClientHistory {
    return this.#heard.history;
  }

  get longestSilence(): number {
    return this.#heard.longestSilence;
  }

  /**
   * With a token of a few seconds it changes its connection all the time, and a poll is answered only when it has waited: so
   * many at once would hardly ever be ready at one moment. Two connections without an answer are a server that is away.
   */
  get ready(): boolean {
    return this.history.connections.slice(-2).some(({ ready }) => ready !== undefined);
  }

  /** It shows no tallies but those that come with an event. */
  get settled(): boolean {
    return this.ready;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#leave('stopped');
  }

  /** Asks for events from a position until they end or the answer is whole. Throws what broke it. */
  protected abstract follow(position: Place): Promise<void>;

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        this.#token ??= await this.#renewed();
        this.#position ??= await this.#begin();
        await this.follow(this.#position);
      } catch (error) {
        if (!(error instanceof Broken) && (error as NodeJS.ErrnoException).code === undefined) throw error;
        this.#leave((error as Error).message);
        await pause(RETRY);
      }
    }
  }

  async #renewed(): Promise<string> {
    const { renew, user } = this.#options;
    if (!renew) return user.token;
    try {
      return await renew();
    } catch (error) {
      throw new Broken('no token', { cause: error });
    }
  }

  async #begin(): Promise<Place> {
    const answer = await this.ask('/posts?limit=1');
    answer.resume();
    const { 'x-feed-seq': seq, 'x-feed-epoch': epoch } = answer.headers;
    if (answer.statusCode !== 200) throw new Broken(`GET /posts: ${answer.statusCode ?? 0}`);
    this.history.start = Number(seq);
    return { seq: Number(seq), epoch: String(epoch) };
  }

  /**
   * The head of the answer to one request: a success or 410. Whatever else it is, is made again, with a new token if the old
   * one has ended and there is one.
   */
  protected async ask(path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request(this.#options.url + path, {
        agent: this.#agent,
        headers: { ...headers, authorization: `Bearer ${this.#token ?? ''}` },
        // Of silence, also within the answer.
        timeout: SILENCE,
      });
      asked.once('socket', (socket) => {
        this.#connected(socket);
        const connection = this.history.connections.at(-1);
        if (connection && this.#token !== undefined)
          connection.tokenEndsAt = claimsOf(this.#token).exp * 1000;
      });
      asked.once('response', resolve);
      asked.once('timeout', () => asked.destroy(new Broken('silence')));
      asked.on('error', reject);
      asked.end();
    });
    const { statusCode: status = 0 } = answer;
    if (status === 200 || status === 410) return answer;
    answer.resume();
    if (status === 401) {
      this.#token = undefined;
      this.#stopped ||= this.#options.renew === undefined;
    } else if (status < 500 && status !== 429) throw new Error(`${path} was answered with ${status}`);
    throw new Broken(`${path} was answered with ${status}`);
  }

  #connected(socket: Socket): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    const connection: Connection = {
      openedAt: Date.now(),
      after: this.seq,
      ready: undefined,
      closedAt: undefined,
      reason: undefined,
      tokenEndsAt: undefined,
    };
    if (this.history.connections.push(connection) > 1) this.#options.recorder.reconnects += 1;
    socket.once('close', () => {
      connection.closedAt ??= Date.now();
      connection.reason ??= 'closed';
    });
  }

  /** The next request goes over another connection. */
  #leave(reason: string): void {
    const connection = this.history.connections.at(-1);
    if (connection) {
      connection.closedAt ??= Date.now();
      connection.reason ??= reason;
    }
    this.#agent.destroy();
  }

  /** What it asks for beside its position: `&topics=…`. */
  protected get topics(): string {
    const { view } = this.#options;
    return view ? `&topics=${encodeURIComponent(view.topics.join(','))}` : '';
  }

  /** Between its position and this one there is nothing for it. Who takes everything is told of all events. */
  protected moved({ seq, prev }: Position, epoch: string): void {
    if (this.#options.view && this.seq !== undefined && prev <= this.seq && seq > this.seq)
      this.#position = { seq, epoch };
  }

  /** It is being served from its position on. */
  protected resumed({ seq, epoch }: Place): void {
    this.#greeted({ seq, epoch }, 'replayed', undefined);
  }

  /** Its position cannot be served; it continues from another. */
  protected reset(to: Place, reason: ResetReason): void {
    this.#greeted(to, 'reset', reason);
    this.#position = to;
  }

  #greeted(to: Place, outcome: 'replayed' | 'reset', reason: ResetReason | undefined): void {
    const connection = this.history.connections.at(-1);
    if (!connection || (connection.ready && outcome !== 'reset')) return;
    connection.ready = {
      ...to,
      outcome,
      ...(reason === undefined ? {} : { reason }),
      user_id: 0,
      at: Date.now(),
      position: this.seq ?? to.seq,
    };
  }

  protected event(
    name: FeedEventName,
    data: FeedEvents[FeedEventName],
    { seq, prev, epoch }: Position & Place,
  ): void {
    this.#heard.event(name, data, { seq, prev }, this.seq);
    const { recorder, name: client } = this.#options;
    if (isPost(data))
      recorder.tally(
        { post_id: data.id, votes: data.votes, replies: data.replies ?? 0, rev: data.rev },
        client,
      );
    this.#position = { seq, epoch };
  }
}
