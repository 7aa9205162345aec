import type { Departure, RelationChange, RelationKind } from '../../server/topics/event-type.ts';

/** An event as the table `event_log` has it at the end of a run. */
export interface LogRow {
  seq: number;
  name: string;
  entityType: string;
  entityId: number;
  audience: string;
  topics: string[];
  redaction: string[];
  data: Record<string, unknown>;
  /** When its change was made, in milliseconds since 1970. It got its number later. */
  at: number;
  authorId: number | null;
  containerType: string | null;
  containerId: number | null;
  erasesContainer: boolean;
  departure: Departure | null;
  relation: RelationChange | null;
}

/** As what an event reaches somebody. */
export type Reach = 'event' | 'departure' | undefined;

/** Who must receive what, told from the log alone: in a way that has nothing in common with that of the service. */
export class Oracle {
  readonly log: readonly LogRow[];
  /** The changes of each relation, in order. */
  readonly #changes = new Map<string, { seq: number; added: boolean }[]>();
  /** The roles of each user, in order. */
  readonly #roles = new Map<number, { seq: number; moderates: boolean }[]>();
  /** Of each event: when the first of it and all behind it was made. */
  readonly #since: number[];

  /** @param log all of it, from the first event on */
  constructor(log: readonly LogRow[]) {
    this.log = log;
    for (const { seq, name, entityId, data, relation } of log) {
      if (name === 'role:changed') {
        const moderates = data.role !== 'user';
        this.#roles.set(entityId, [...(this.#roles.get(entityId) ?? []), { seq, moderates }]);
      }
      if (!relation) continue;
      const key = `${relation.kind} ${relation.user_id} ${relation.target_id}`;
      this.#changes.set(key, [...(this.#changes.get(key) ?? []), { seq, added: relation.added }]);
    }
    let first = Infinity;
    this.#since = log.map(({ at }) => at);
    for (let at = log.length - 1; at >= 0; at -= 1)
      this.#since[at] = first = Math.min(first, this.#since[at] ?? Infinity);
  }

  at(seq: number): LogRow {
    const row = this.log[seq - 1];
    if (row?.seq !== seq) throw new Error(`the log has no event ${seq}`);
    return row;
  }

  /** Whether a relation stands at a position. */
  stands(kind: RelationKind, userId: number, targetId: number, seq: number): boolean {
    const changes = this.#changes.get(`${kind} ${userId} ${targetId}`) ?? [];
    return changes.findLast((change) => change.seq <= seq)?.added === true;
  }

  /** Whether a relation changes behind a position, up to another. */
  changes(kind: RelationKind, userId: number, targetId: number, after: number, upTo: number): boolean {
    const changes = this.#changes.get(`${kind} ${userId} ${targetId}`) ?? [];
    return changes.some(({ seq }) => seq > after && seq <= upTo);
  }

  /** Whether a user moderates at a position. */
  moderates(userId: number, seq: number): boolean {
    return this.#roles.get(userId)?.findLast((change) => change.seq <= seq)?.moderates === true;
  }

  /** Whether the role of a user changes behind a position, up to another. */
  isAppointedAnew(userId: number, after: number, upTo: number): boolean {
    return this.#roles.get(userId)?.some(({ seq }) => seq > after && seq <= upTo) === true;
  }

  /** As what an event reaches a user with these topics, or with all that is public; whatever is hidden from them. */
  reach(row: LogRow, userId: number, topics: readonly string[] | undefined): Reach {
    if (row.audience === 'role:moderator') return this.moderates(userId, row.seq) ? 'event' : undefined;
    if (row.audience !== 'public') return row.audience === `user:${userId}` ? 'event' : undefined;
    if (!topics) return 'event';
    const isMine = () => row.authorId === userId || this.stands('follow', userId, row.authorId ?? 0, row.seq);
    const wants = (named: readonly string[]) =>
      named.some((topic) => topics.includes(topic)) ||
      (topics.includes('home') && named.includes('feed') && isMine());
    if (wants(row.topics)) return 'event';
    return row.departure && wants(row.departure.topics) ? 'departure' : undefined;
  }

  /**
   * Whether an author is hidden from a user at all positions between two, at some of them, or at none.
   * @param asked whether the user asks for this author by name: then a mute is no reason
   */
  hidden(
    userId: number,
    authorId: number | null,
    asked: boolean,
    from: number,
    to: number,
  ): 'all' | 'some' | 'none' {
    if (authorId === null || authorId === userId) return 'none';
    const reasons = [
      ['block', userId, authorId],
      ['block', authorId, userId],
      ...(asked ? [] : [['mute', userId, authorId] as const]),
    ] as const;
    const turns = [
      from,
      ...reasons.flatMap(([kind, user, target]) => this.#turns(kind, user, target, from, to)),
    ];
    const at = turns.map((seq) =>
      reasons.some(([kind, user, target]) => this.stands(kind, user, target, seq)),
    );
    return at.every(Boolean) ? 'all' : at.some(Boolean) ? 'some' : 'none';
  }

  #turns(kind: RelationKind, userId: number, targetId: number, after: number, upTo: number): number[] {
    const changes = this.#changes.get(`${kind} ${userId} ${targetId}`) ?? [];
    return changes.map(({ seq }) => seq).filter((seq) => seq > after && seq <= upTo);
  }

  /** The highest number that an event can have had by a moment: it may have been numbered later than it was made. */
  headAt(moment: number): number {
    let [low, high] = [0, this.log.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#since[middle] ?? Infinity) <= moment) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
