import { setTimeout as sleep } from 'node:timers/promises';
import type { Follower } from '../log/follower.ts';
import type { Identity } from '../identity.ts';
import type { Logger } from '../logger.ts';
import type { Reader } from '../topics/audience.ts';
import type { RelationChange } from '../topics/event-type.ts';
import { type FollowChange, type RelationRows, Relations } from '../topics/relations.ts';
import type { Subscription } from '../topics/subscription.ts';
import { UserSlots } from '../topics/user-slots.ts';

/** Users whose relations are read in one query. */
const BATCH = 1000;
/** The least time between two queries, so that those who come together are read together. Milliseconds. */
const BATCH_INTERVAL = 50;
/** The same after a query for so many users or more, as when all clients of a node come back. Milliseconds. */
const CROWD = 5;
const CROWD_INTERVAL = 200;
/** The pause after a query that failed. Milliseconds. */
const RETRY_INTERVAL = 250;
/** Users without a connection who are remembered, so that their return needs no query. */
const MAX_ABSENT = 1000;

/** Where relations are read. */
export interface RelationSource {
  /** The relations of users, and the position of the log in the same snapshot. */
  relations: (
    users: readonly { userId: number; withFollows: boolean }[],
  ) => Promise<{ head: number; rows: readonly RelationRows[] }>;
  /** The changes of whom a user follows, after a position and up to another. */
  followChanges: (userId: number, after: number, upTo: number) => Promise<FollowChange[]>;
}

export interface RelationMemoryOptions {
  feed: Pick<Follower, 'seq'>;
  source: RelationSource;
  log: Logger;
}

/** What is known here of a subscriber. */
interface Related<S> {
  identity: Pick<Identity, 'id'>;
  readonly subscription: Subscription | undefined;
  /** Set when it enters. */
  member: Member<S> | undefined;
  readonly open: boolean;
}

/** A user of this node: the relations, and the subscribers that go by them. */
export class Member<S> {
  readonly relations: Relations;
  /**
   * Those that have entered. Another list takes its place: most users have one, and a list that grows has room for
   * many.
   */
  subscribers: readonly S[] = [];
  /** Its number among the followers of authors; undefined while whom it follows is not known. */
  slot: number | undefined;

  constructor(userId: number) {
    this.relations = new Relations(userId);
  }

  /** What decides which private events its user receives, as of now. */
  get reader(): Reader {
    const { userId: id, moderatesSince } = this.relations;
    return { id, moderatesSince };
  }
}

/**
 * The relations of the users of this node: whom each follows, blocks and mutes, and who blocks each. They are read once
 * for all subscribers that come together, shared by all subscribers of a user, and follow the log from there on: a
 * change takes effect when the node passes its event, so that all nodes go by the same at each position.
 */
export class RelationMemory<S extends Related<S>> {
  readonly #feed: RelationMemoryOptions['feed'];
  readonly #source: RelationSource;
  readonly #log: Logger;
  readonly #members = new Map<number, Member<S>>();
  /** Those without a subscriber, who left first at the beginning. */
  readonly #absent = new Set<Member<S>>();
  readonly #bySlot: (Member<S> | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #moderators = new Set<Member<S>>();
  readonly #followers = new Map<number, UserSlots>();
  /** Those to be read next, and whether with whom they follow. */
  readonly #asked = new Map<
    Member<S>,
    { withFollows: boolean; settled: Promise<void>; settle: () => void }
  >();
  #isReading = false;
  /** Those who wait for the node to reach what was read. */
  readonly #ahead = new Set<{ head: number; reached: () => void }>();
  #stopped = false;

  constructor({ feed, source, log }: RelationMemoryOptions) {
    this.#feed = feed;
    this.#source = source;
    this.#log = log;
  }

  /** Users whose relations are in memory. */
  get size(): number {
    return this.#members.size;
  }

  of(userId: number): Member<S> | undefined {
    return this.#members.get(userId);
  }

  /** Visits those users of this node who follow an author as of now, as far as it is known whom they follow. */
  eachFollower(authorId: number, visit: (member: Member<S>) => void): void {
    this.#followers.get(authorId)?.each((slot) => {
      const member = this.#bySlot[slot];
      if (member) visit(member);
    });
  }

  /** Visits those users of this node who moderate as of now. */
  eachModerator(visit: (member: Member<S>) => void): void {
    this.#moderators.forEach(visit);
  }

  /** Whether what a subscriber needs is known at the position of the node, so that it need not be waited for. */
  isKnown({ identity, subscription }: S, withFollows = subscription?.hasHome === true): boolean {
    const relations = this.#members.get(identity.id)?.relations;
    const head = relations && headOf(relations, withFollows);
    return head !== undefined && head <= this.#feed.seq;
  }

  /** Knows a subscriber from here on, and the relations of its user. */
  enter(subscriber: S): void {
    const userId = subscriber.identity.id;
    let member = this.#members.get(userId);
    if (!member) this.#members.set(userId, (member = new Member<S>(userId)));
    this.#absent.delete(member);
    member.subscribers = [...member.subscribers, subscriber];
    subscriber.member = member;
  }

  leave(subscriber: S): void {
    const { member } = subscriber;
    if (!member?.subscribers.includes(subscriber)) return;
    member.subscribers = member.subscribers.filter((one) => one !== subscriber);
    if (member.subscribers.length > 0) return;
    this.#absent.add(member);
    for (const oldest of this.#absent) {
      if (this.#absent.size <= MAX_ABSENT) break;
      this.#forget(oldest);
    }
  }

  /**
   * Resolves when what a subscriber needs is known at the position of the node, or it has left.
   * @param withFollows whether it has to be known whom its user follows
   */
  async ready(subscriber: S, withFollows = subscriber.subscription?.hasHome === true): Promise<void> {
    const { member } = subscriber;
    if (!member) return;
    while (subscriber.open && !this.#stopped) {
      const head = headOf(member.relations, withFollows);
      if (head === undefined) {
        await this.#read(member, withFollows);
        continue;
      }
      if (head <= this.#feed.seq) return;
      await new Promise<void>((reached) => this.#ahead.add({ head, reached }));
    }
  }

  /**
   * Makes sure that the changes of whom a member follows are known from a position on. @throws if they cannot be read
   */
  async extend({ relations }: Member<S>, from: number): Promise<void> {
    for (let to = relations.changesFrom; from < to; to = relations.changesFrom)
      relations.extend(from, to, await this.#source.followChanges(relations.userId, from, to));
  }

  /**
   * The node passes an event that changes a relation.
   * @returns the users of this node who must not hear each other from now on, if it is a block
   */
  apply(change: RelationChange, seq: number): Member<S>[] {
    const hiding: Member<S>[] = [];
    for (const userId of [change.user_id, change.target_id]) {
      const member = this.#members.get(userId);
      if (!member?.relations.apply(change, seq)) continue;
      if (change.kind === 'moderate') this.#noteModerator(member);
      else if (change.kind !== 'follow') {
        if (change.added && change.kind === 'block') hiding.push(member);
      } else if (member.slot !== undefined) {
        if (change.added) this.#addFollower(change.target_id, member.slot);
        else this.#removeFollower(change.target_id, member.slot);
      }
    }
    return hiding;
  }

  /** The node has passed some events. */
  advanced(): void {
    if (this.#ahead.size === 0) return;
    for (const waiter of this.#ahead) {
      if (waiter.head > this.#feed.seq) continue;
      this.#ahead.delete(waiter);
      waiter.reached();
    }
  }

  /** The database is another one. All subscribers have been ended. */
  forget(): void {
    for (const member of [...this.#absent]) this.#forget(member);
    for (const { reached } of this.#ahead) reached();
    this.#ahead.clear();
  }

  stop(): void {
    this.#stopped = true;
    this.forget();
    for (const { settle } of this.#asked.values()) settle();
  }

  #forget(member: Member<S>): void {
    this.#absent.delete(member);
    const { relations, slot } = member;
    this.#members.delete(relations.userId);
    this.#moderators.delete(member);
    if (slot === undefined) return;
    for (const authorId of relations.follows) this.#removeFollower(authorId, slot);
    member.slot = undefined;
    this.#bySlot[slot] = undefined;
    this.#freeSlots.push(slot);
  }

  #read(member: Member<S>, withFollows: boolean): Promise<void> {
    let asked = this.#asked.get(member);
    if (!asked) {
      let settle!: () => void;
      const settled = new Promise<void>((resolve) => (settle = resolve));
      this.#asked.set(member, (asked = { withFollows, settled, settle }));
    }
    asked.withFollows ||= withFollows;
    if (!this.#isReading) {
      this.#isReading = true;
      // What arrives in this tick belongs to the same query.
      setImmediate(() => void this.#readAll());
    }
    return asked.settled;
  }

  async #readAll(): Promise<void> {
    while (this.#asked.size > 0 && !this.#stopped) {
      const batch = this.#nextBatch();
      if (batch.length === 0) continue;
      const users = batch.map(([{ relations }, { withFollows }]) => ({
        userId: relations.userId,
        withFollows,
      }));
      let pause = batch.length < CROWD ? BATCH_INTERVAL : CROWD_INTERVAL;
      try {
        const { head, rows } = await this.#source.relations(users);
        for (const [at, [member]] of batch.entries()) {
          const row = rows[at];
          if (row) this.#take(member, row, head, users[at]?.withFollows ?? false);
        }
      } catch (error) {
        this.#log.debug({ err: error }, 'relations cannot be read; retrying');
        pause = RETRY_INTERVAL;
      }
      // Those that got nothing ask again, and are read after the pause.
      for (const [, { settle }] of batch) settle();
      await sleep(pause);
    }
    this.#isReading = false;
  }

  /**
   * Those to be read next. Who was asked for while a read was under way that brought what is needed is not read again.
   */
  #nextBatch(): [Member<S>, { withFollows: boolean; settle: () => void }][] {
    const batch: [Member<S>, { withFollows: boolean; settle: () => void }][] = [];
    for (const [member, asked] of this.#asked) {
      if (batch.length >= BATCH) break;
      this.#asked.delete(member);
      if (headOf(member.relations, asked.withFollows) !== undefined) asked.settle();
      else {
        member.relations.expectLoad();
        batch.push([member, asked]);
      }
    }
    return batch;
  }

  #take(member: Member<S>, row: RelationRows, head: number, withFollows: boolean): void {
    if (this.#members.get(row.userId) !== member) return;
    member.relations.load(row, head, withFollows);
    this.#noteModerator(member);
    if (!withFollows || member.slot !== undefined) return;
    member.slot = this.#freeSlots.pop() ?? this.#bySlot.length;
    this.#bySlot[member.slot] = member;
    for (const authorId of member.relations.follows) this.#addFollower(authorId, member.slot);
  }

  #noteModerator(member: Member<S>): void {
    if (member.relations.moderatesSince === undefined) this.#moderators.delete(member);
    else this.#moderators.add(member);
  }

  #addFollower(authorId: number, slot: number): void {
    let slots = this.#followers.get(authorId);
    if (!slots) this.#followers.set(authorId, (slots = new UserSlots()));
    slots.add(slot);
  }

  #removeFollower(authorId: number, slot: number): void {
    const slots = this.#followers.get(authorId);
    slots?.delete(slot);
    if (slots?.length === 0) this.#followers.delete(authorId);
  }
}

/** The position from which on what is needed of a user is known; undefined if it has not been read. */
function headOf({ head, followsHead }: Relations, withFollows: boolean): number | undefined {
  if (!withFollows || head === undefined || followsHead === undefined) return withFollows ? undefined : head;
  return Math.max(head, followsHead);
}
