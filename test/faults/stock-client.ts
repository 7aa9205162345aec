import { io, type Socket } from 'socket.io-client';
import type {
  ClientToServer,
  FeedEventName,
  FeedEvents,
  Position,
  Problem,
  ServerToClient,
  Tally,
} from '../../server/contract.ts';
import { feedEventNames } from '../support/feed-event-names.ts';
import { type ClientHistory, isPost } from './history.ts';
import { goneId, Heard } from './heard.ts';
import type { Listener, ListenerOptions } from './listener.ts';

/** More than two beacons (`feed:head`): who has heard nothing for so long moves on. Milliseconds. */
const SILENCE = 4500;
/** Ids in one `track`, and posts that are tracked at most: the server's own limits. */
const TRACKED_AT_ONCE = 500;
const TRACKED = 4500;

/**
 * `socket.io-client` and nothing else: it keeps the last seq that it was given, says it at every reconnect, and believes
 * everything. What it hears is what was on the wire, so a gap or a double is the server's.
 */
export class StockClient implements Listener {
  readonly #heard: Heard;
  readonly #options: ListenerOptions;
  readonly #socket: Socket<ServerToClient, ClientToServer>;
  readonly #untracked = new Set<number>();
  readonly #timer: NodeJS.Timeout;
  #seq: number | undefined;
  #epoch: string | undefined;
  #heardAt = Date.now();
  #tracking = false;
  #ended = false;

  constructor(options: ListenerOptions) {
    const { url, from } = options;
    this.#options = options;
    this.#seq = from?.after;
    this.#epoch = from?.epoch;
    this.#heard = new Heard('stock', options);
    this.#socket = io(url, {
      transports: ['websocket'],
      forceNew: true,
      autoConnect: false,
      timeout: 3000,
      reconnectionDelay: 100,
      reconnectionDelayMax: 800,
      // A function: it is asked at each reconnect, and tells where the client stands then.
      auth: (tell: (auth: object) => void) => {
        this.#opened();
        tell({
          token: options.user.token,
          tallies: options.tallies ?? 'all',
          ...(options.view && { topics: options.view.topics }),
          ...(this.#seq === undefined ? {} : { after: this.#seq, epoch: this.#epoch }),
        });
      },
    });
    this.#listen();
    this.#timer = setInterval(() => this.#look(), 250);
  }

  /** Its position; undefined before the first `ready`. */
  get seq(): number | undefined {
    return this.#seq;
  }

  get epoch(): string | undefined {
    return this.#epoch;
  }

  get history(): ClientHistory {
    return this.#heard.history;
  }

  /** The longest time between two events, while others got some. Milliseconds; asked once it is over. */
  get longestSilence(): number {
    return this.#heard.longestSilence;
  }

  /** The connection that it has now has been greeted. */
  get ready(): boolean {
    return this.#socket.connected && this.history.connections.at(-1)?.ready !== undefined;
  }

  start(): void {
    this.#socket.connect();
  }

  /** Closes it for good; it need not be at the head when all is at rest. */
  stop(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#socket.disconnect();
  }

  #listen(): void {
    const socket = this.#socket;
    const options = this.#options;
    for (const name of feedEventNames) {
      (socket as Socket).on(name, (data: FeedEvents[FeedEventName], at: Position) =>
        this.#event(name, data, at),
      );
    }
    socket.on('votes', (tallies) => {
      this.#heardAt = Date.now();
      // With topics it shows a post until it has left them.
      for (const tally of tallies)
        if (!options.view || this.history.tallies.has(tally.post_id)) this.#tally(tally);
    });
    socket.on('feed:head', ({ seq, prev }) => {
      this.#heardAt = Date.now();
      if (options.view && this.#seq !== undefined && prev <= this.#seq) this.#seq = Math.max(this.#seq, seq);
    });
    socket.on('ready', (ready) => {
      this.#heardAt = Date.now();
      const connection = this.history.connections.at(-1);
      const position = this.#seq ?? ready.seq;
      if (connection) connection.ready = { ...ready, at: Date.now(), position };
      this.history.start ??= ready.seq;
      if (this.#seq === undefined || ready.outcome === 'reset') this.#seq = ready.seq;
      else if (options.view) this.#seq = Math.max(this.#seq, ready.seq);
      this.#epoch = ready.epoch;
      // Tallies that changed while it was away are not sent again: it asks for those that it shows.
      const shown = [...this.history.tallies.keys()];
      for (const id of shown.slice(-TRACKED)) this.#untracked.add(id);
      // Of the others it hears no more where it hears of the tracked ones alone: it shows them no longer.
      if (this.#options.tallies === 'tracked')
        for (const id of shown.slice(0, -TRACKED)) this.history.tallies.delete(id);
    });
    socket.on('disconnect', (reason) => {
      const connection = this.history.connections.at(-1);
      if (connection) {
        connection.closedAt = Date.now();
        connection.reason = reason;
      }
      if (reason === 'io server disconnect') this.#ended = true;
    });
    // A handshake that the server refuses is not repeated by the library. One that it could not serve is, by us.
    socket.on('connect_error', (error) => {
      const problem = (error as Error & { data?: Problem }).data;
      if (problem && problem.status < 500) this.#ended = true;
      else if (!socket.active) setTimeout(() => this.#ended || socket.connect(), 300);
    });
  }

  #opened(): void {
    this.#heardAt = Date.now();
    if (this.history.connections.length > 0) this.#options.recorder.reconnects += 1;
    this.#untracked.clear();
    this.history.connections.push({
      openedAt: Date.now(),
      after: this.#seq,
      ready: undefined,
      closedAt: undefined,
      reason: undefined,
      tokenEndsAt: undefined,
    });
  }

  #event(name: FeedEventName, data: FeedEvents[FeedEventName], at: Position): void {
    this.#heardAt = Date.now();
    this.#heard.event(name, data, at, this.#seq);
    this.#seq = at.seq;
    const gone = goneId(name, data);
    if (isPost(data)) {
      if (!this.history.tallies.has(data.id)) this.#untracked.add(data.id);
      this.#tally({ post_id: data.id, votes: data.votes, replies: data.replies ?? 0, rev: data.rev });
    } else if (gone !== undefined) {
      this.history.tallies.delete(gone);
      this.#untracked.delete(gone);
    }
  }

  #tally(tally: Tally): void {
    const { history } = this;
    this.#options.recorder.tally(tally, history.client);
    const known = history.tallies.get(tally.post_id);
    if (!known || known.rev < tally.rev)
      history.tallies.set(tally.post_id, { votes: tally.votes, rev: tally.rev });
  }

  #look(): void {
    if (this.#ended) return;
    if (this.ready && this.#untracked.size > 0 && !this.#tracking) void this.#track();
    if (Date.now() - this.#heardAt > SILENCE) {
      this.#heardAt = Date.now();
      this.#socket.disconnect();
      this.#socket.connect();
    }
  }

  /** Asks for tallies until they are answered, so far as this connection lasts. */
  async #track(): Promise<void> {
    this.#tracking = true;
    const connection = this.history.connections.length;
    const ids = [...this.#untracked].slice(0, TRACKED_AT_ONCE);
    try {
      const answer = await answered(this.#socket, ids);
      if (!answer.ok || connection !== this.history.connections.length) return;
      for (const id of ids) this.#untracked.delete(id);
      for (const tally of answer.data.tallies)
        if (this.history.tallies.has(tally.post_id)) this.#tally(tally);
    } catch {
      // No answer in time: it is asked again, on this connection or on the next.
    } finally {
      this.#tracking = false;
    }
  }

  /** Whether it has asked for all that it shows. */
  get settled(): boolean {
    return this.ready && this.#untracked.size === 0 && !this.#tracking;
  }
}

type TrackAnswer = Parameters<Parameters<ClientToServer['track']>[1]>[0];

/** socket.io-client's typings lose the answer's type behind `timeout`. */
function answered(socket: Socket<ServerToClient, ClientToServer>, ids: number[]): Promise<TrackAnswer> {
  return socket.timeout(4000).emitWithAck('track', { post_ids: ids }) as Promise<TrackAnswer>;
}
