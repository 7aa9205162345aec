import type { RelationChange } from './event-type.ts';
import { type IdList, idList, idsOf, NO_IDS, withId, withoutId } from './id-list.ts';

/** A change of whom somebody follows, and the number of its event. */
export interface FollowChange {
  seq: number;
  targetId: number;
  added: boolean;
}

/** The relations of a user at one position of the log, as they are read. */
export interface RelationRows {
  userId: number;
  /** Empty if they were not asked for. */
  follows: readonly number[];
  /** Those whom the user blocks, and those who block the user. */
  blocks: readonly number[];
  blockedBy: readonly number[];
  mutes: readonly number[];
  /** The event from which on the user moderates; null if they do not. */
  moderatesSince: number | null;
}

/** Changes of follows that are kept in order to undo them. */
const MAX_CHANGES = 500;

const NOBODY: readonly number[] = [];

/**
 * What one user is to others, as of the position of this node: it changes in the moment in which the node passes the
 * event of the change.
 */
export class Relations {
  readonly userId: number;
  #follows: IdList = NO_IDS;
  #blocks = NOBODY;
  #blockedBy = NOBODY;
  #mutes = NOBODY;
  #moderatesSince: number | undefined;
  #head: number | undefined;
  /** Whether something that is not known is about to be read. */
  #isAwaited = true;
  /** The position that whom the user follows was read at. */
  #followsHead: number | undefined;
  /** Passed while something was awaited. */
  #early: { seq: number; change: RelationChange }[] = [];
  /** The changes of follows after `#changesFrom`, in order. */
  #changes: readonly FollowChange[] = [];
  #changesFrom = Infinity;

  constructor(userId: number) {
    this.userId = userId;
  }

  /** The position that the state was read at; undefined if it has not been read. */
  get head(): number | undefined {
    return this.#head;
  }

  /** The position that whom the user follows was read at; undefined if it has not been read. */
  get followsHead(): number | undefined {
    return this.#followsHead;
  }

  /** Whom the user follows now. */
  get follows(): Iterable<number> {
    return idsOf(this.#follows);
  }

  /** The event from which on the user moderates; undefined if they do not. */
  get moderatesSince(): number | undefined {
    return this.#moderatesSince;
  }

  get hidesNobody(): boolean {
    return this.#blocks.length + this.#blockedBy.length + this.#mutes.length === 0;
  }

  /** The position from which on the changes of follows are known. */
  get changesFrom(): number {
    return this.#changesFrom;
  }

  /**
   * Takes what is not known yet of a state as it has been read. What is known stays: others go by it at the position of
   * the node, of which the state that was read may be ahead.
   * @param head the position that it was read at
   */
  load(rows: RelationRows, head: number, withFollows: boolean): void {
    const early = this.#early.splice(0);
    this.#isAwaited = false;
    if (this.#head === undefined) {
      this.#head = head;
      this.#blocks = rows.blocks;
      this.#blockedBy = rows.blockedBy;
      this.#mutes = rows.mutes;
      this.#moderatesSince = rows.moderatesSince ?? undefined;
      for (const { seq, change } of early) if (change.kind !== 'follow') this.apply(change, seq);
    }
    if (withFollows && this.#followsHead === undefined) {
      this.#followsHead = head;
      this.#follows = idList(rows.follows);
      this.#changes = [];
      this.#changesFrom = head;
      for (const { seq, change } of early) if (change.kind === 'follow') this.apply(change, seq);
    }
  }

  /**
   * What is passed from here on may come behind the state that is about to be read.
   */
  expectLoad(): void {
    this.#isAwaited = true;
  }

  /**
   * The node passes an event that changes a relation of this user.
   * @returns whether it changed something
   */
  apply(change: RelationChange, seq: number): boolean {
    if (this.#isAwaited) this.#early.push({ seq, change });
    const { kind, user_id, target_id, added } = change;
    const head = kind === 'follow' ? this.#followsHead : this.#head;
    // In the second case it was in the state already.
    if (head === undefined || seq <= head) return false;
    const isActor = user_id === this.userId;
    if (kind === 'block') {
      if (isActor) this.#blocks = changed(this.#blocks, target_id, added);
      else this.#blockedBy = changed(this.#blockedBy, user_id, added);
      return true;
    }
    if (!isActor) return false;
    if (kind === 'moderate') {
      this.#moderatesSince = added ? seq : undefined;
      return true;
    }
    if (kind === 'mute') {
      this.#mutes = changed(this.#mutes, target_id, added);
      return true;
    }
    this.#follows = added ? withId(this.#follows, target_id) : withoutId(this.#follows, target_id);
    this.#changes = [...this.#changes, { seq, targetId: target_id, added }];
    if (this.#changes.length > MAX_CHANGES) {
      this.#changesFrom = this.#changes[0]?.seq ?? seq;
      this.#changes = this.#changes.slice(1);
    }
    return true;
  }

  /**
   * Adds the changes of follows between an earlier position, which becomes `changesFrom`, and what that was before.
   * @param to up to where they are: if some after it have been forgotten meanwhile, nothing is added
   */
  extend(from: number, to: number, earlier: readonly FollowChange[]): void {
    if (from >= this.#changesFrom || to < this.#changesFrom) return;
    const known = earlier.filter(({ seq }) => seq > from && seq <= this.#changesFrom);
    this.#changes = [...known, ...this.#changes];
    this.#changesFrom = from;
  }

  /** Whom the user has begun or ceased to follow after a position. */
  changedSince(position: number): number[] {
    return this.#changes.filter(({ seq }) => seq > position).map(({ targetId }) => targetId);
  }

  /**
   * Whether the user follows somebody as of the event of a number, for events after a position: the present state, with
   * the changes since then undone. The changes since that position have to be known.
   */
  followsAfter(position: number): (authorId: number, seq: number) => boolean {
    const now = new Set(this.follows);
    const changes = new Map<number, FollowChange[]>();
    for (const change of this.#changes) {
      if (change.seq <= position) continue;
      const ofTarget = changes.get(change.targetId);
      if (ofTarget) ofTarget.push(change);
      else changes.set(change.targetId, [change]);
    }
    return (authorId, seq) => {
      const next = changes.get(authorId)?.find((change) => change.seq > seq);
      return next ? !next.added : now.has(authorId);
    };
  }

  /**
   * Whether events of an author are kept from this user.
   * @param asked whether the user subscribes to the author by name: then a mute is no reason
   */
  hides(authorId: number | null, asked = false): boolean {
    if (authorId === null || this.hidesNobody || authorId === this.userId) return false;
    return (
      this.#blocks.includes(authorId) ||
      this.#blockedBy.includes(authorId) ||
      (!asked && this.#mutes.includes(authorId))
    );
  }
}

function changed(ids: readonly number[], id: number, added: boolean): readonly number[] {
  const others = ids.filter((one) => one !== id);
  return added ? [...others, id] : others;
}
