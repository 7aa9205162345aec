/** What a listener was told, in order: an event, or a position without one. */
export interface Told {
  at: number;
  seq: number;
  /** As it was said; undefined where nothing says it, as with the head of a long-poll or the answer to `subscribe`. */
  prev: number | undefined;
  /** The event, if it is one. */
  event: { name: string; data: Record<string, unknown> } | undefined;
}

/** What a listener was told over one connection while its topics stayed the same. */
export interface Segment {
  /** Undefined: everything public. */
  topics: readonly string[] | undefined;
  /** When the connection was opened. */
  openedAt: number;
  /** Where it began. */
  from: number;
  /** The last event of its connection before it: no `prev` lies lower. */
  chain: number;
  told: Told[];
}

/** What a `subscribe` was answered with. */
export interface Answer {
  at: number;
  openedAt: number;
  /** Those that were asked for, without those whose events could not be handed over. */
  topics: readonly string[];
  /** All that the listener had then. */
  all: readonly string[];
  from: number;
  upTo: number;
  events: { seq: number; name: string; data: Record<string, unknown> }[];
}

/** All that one listener was told. */
export interface Story {
  name: string;
  userId: number;
  segments: Segment[];
  answers: Answer[];
  /** Positions that the service would not serve. */
  resets: string[];
}

/** Who follows the log over some transport. */
export interface ModelListener {
  readonly story: Story;
  /** Undefined before it has been let in. */
  readonly position: number | undefined;
  /** When its connection was opened. Milliseconds since 1970. */
  readonly openedAt: number;
  /** Does at random what a client may do; resolves when it is done. */
  stir(): Promise<void>;
  start(): void;
  stop(): void;
}

/** Writes the story of a listener. */
export class Teller {
  readonly story: Story;
  #segment: Segment | undefined;
  #position: number | undefined;
  #openedAt = Date.now();

  constructor(name: string, userId: number) {
    this.story = { name, userId, segments: [], answers: [], resets: [] };
  }

  get position(): number | undefined {
    return this.#position;
  }

  get openedAt(): number {
    return this.#openedAt;
  }

  /** A connection is opened: what comes over it is behind the position, if there is one. */
  open(topics: readonly string[] | undefined): void {
    this.#openedAt = Date.now();
    this.#segment = undefined;
    if (this.#position !== undefined) this.#begin(topics, this.#position, this.#position);
  }

  /** A connection that was opened without a position begins here. */
  begin(topics: readonly string[] | undefined, position: number): void {
    this.#position = position;
    this.#begin(topics, position, position);
  }

  /** The topics change, behind a position. */
  change(topics: readonly string[], position: number): void {
    const { chain = 0, told = [] } = this.#segment ?? {};
    this.moved(position);
    this.#begin(topics, position, told.findLast(({ event }) => event)?.seq ?? chain);
  }

  event(name: string, data: Record<string, unknown>, { seq, prev }: { seq: number; prev: number }): void {
    this.#take({ at: Date.now(), seq, prev, event: { name, data } });
  }

  head({ seq, prev }: { seq: number; prev: number }): void {
    this.#take({ at: Date.now(), seq, prev, event: undefined });
  }

  /** Its position is told without a word of what came before. */
  moved(seq: number): void {
    this.#take({ at: Date.now(), seq, prev: undefined, event: undefined });
  }

  answered(answer: Omit<Answer, 'at' | 'openedAt'>): void {
    this.story.answers.push({ ...answer, at: Date.now(), openedAt: this.#openedAt });
  }

  #begin(topics: readonly string[] | undefined, from: number, chain: number): void {
    this.#segment = { topics, openedAt: this.#openedAt, from, chain, told: [] };
    this.story.segments.push(this.#segment);
  }

  #take(told: Told): void {
    this.#segment?.told.push(told);
    this.#position = Math.max(this.#position ?? 0, told.seq);
  }
}
