import type { Socket } from 'socket.io';
import type { Identity } from '../../identity.ts';
import type { BatchView } from '../../delivery/batch.ts';
import { FeedSubscriber, type Greeting } from '../../delivery/subscriber.ts';
import type {
  ClientToServer,
  FeedMode,
  Position,
  ServiceMessages,
  SessionCloseCode,
  Tally,
  TallyMode,
} from '../../protocol.ts';
import type { Subscription } from '../../topics/subscription.ts';
import type { EngineConnection } from '../../library-internals/engine-connection.ts';
import { type Encoded, encodeMessage, encodeShared, framesOf, type Run } from './encoding.ts';
import { PROTOCOL } from './protocol-version.ts';

export type FeedSocket = Socket<ClientToServer, ServiceMessages>;

/** Ends a socket with a coded reason. */
export type EndSubscriber = (subscriber: Subscriber, code: SessionCloseCode, detail: string) => void;

/** The subscriber of one socket: its user, its mode and its tracked posts. */
export class Subscriber extends FeedSubscriber {
  readonly socket: FeedSocket;
  tallies: TallyMode;
  /** Posts whose tallies it wants; those that nobody has looked up yet with the request that named them last. */
  tracked: Map<number, object | undefined> | undefined;
  /** Tallies held back while the socket was slow: the newest of each post. */
  heldTallies: Map<number, Tally> | undefined;
  readonly #connection: EngineConnection;
  readonly #end: EndSubscriber;
  readonly #unread: Set<FeedSubscriber>;

  /**
   * @param address where it is connected from
   * @param callbacks how it is ended, and where it is noted that it may have unread data
   */
  constructor(
    socket: FeedSocket,
    connection: EngineConnection,
    identity: Identity,
    address: string,
    { feed, tallies, topics }: { feed: FeedMode; tallies: TallyMode; topics?: Subscription | undefined },
    { end, unread }: { end: EndSubscriber; unread: Set<FeedSubscriber> },
  ) {
    super(identity, address, topics, feed);
    this.socket = socket;
    this.#connection = connection;
    this.tallies = tallies;
    this.#end = end;
    this.#unread = unread;
  }

  end(code: SessionCloseCode, detail: string): void {
    this.#end(this, code, detail);
  }

  expiring(expiresAt: number): void {
    this.write(encodeMessage('session:expiring', { expires_at: new Date(expiresAt).toISOString() }));
  }

  /** Whether the transport still stands. */
  get open(): boolean {
    return !this.ended && this.#connection.isOpen;
  }

  /** The send buffer of this client. Bytes. */
  get pending(): number {
    return this.#connection.pending;
  }

  /** Something was sent to it by other means than `write`. */
  noteAnswer(): void {
    if (!this.ended) this.#unread.add(this);
  }

  /** Hands an encoded message to the transport. */
  write(message: Encoded): void {
    if (!this.open) return;
    const connection = this.#connection;
    // The text of a message is made from its frame when it is first asked for.
    if (!connection.writeFrames(message.frame)) connection.send(message.packet);
    if (connection.pending > 0) this.#unread.add(this);
  }

  writeEvents(view: BatchView, from: number, to: number): number {
    this.writeRun(view.as(framesOf), from, to);
    return to - from;
  }

  /** Hands over the messages of a run from `from` up to, without, `to`: in one write if it can be. */
  writeRun(run: Run, from: number, to: number): void {
    if (!this.open) return;
    const connection = this.#connection;
    if (!connection.writeFrames(run.bytes(from, to)))
      for (const { packet } of run.messages.slice(from, to)) connection.send(packet);
    if (connection.pending > 0) this.#unread.add(this);
  }

  greet({ epoch, seq, outcome, reason }: Greeting): void {
    const state = { protocol: PROTOCOL, epoch, seq, user_id: this.identity.id, outcome };
    this.write(encodeMessage('ready', reason === undefined ? state : { ...state, reason }));
  }

  // A field would cost memory for each.
  // oxlint-disable-next-line typescript/class-literal-property-style
  get seesHeads(): boolean {
    return true;
  }

  writeHead(head: Position): void {
    this.write(encodeShared('feed:head', head));
  }

  writeCount(news: { count: number; seq: number }): void {
    this.write(encodeShared('feed:count', news));
  }

  /**
   * Takes back the events that wait for the next request of a client that polls.
   * @returns false if they will be sent all the same
   */
  discardQueue(): boolean {
    return this.#connection.discardEvents();
  }

  /** What is on its way cannot be told apart: the connection ends, and the client resumes without it. */
  takeBack(): void {
    if (this.pending === 0) return;
    this.end('reset', 'What you hear has changed. Connect again.');
    this.terminate();
  }

  /** Ends the TCP connection, whatever is still to be written: a client that does not read would hold it forever. */
  terminate(): void {
    this.#connection.cutOff();
    this.#connection.discard();
  }

  /** Closes the transport after what is written has left; a stock client then reconnects by itself. */
  close(): void {
    this.#connection.close();
  }
}
