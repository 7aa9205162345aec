import { isDeepStrictEqual } from 'node:util';
import { redacted } from '../../server/log/redaction.ts';
import type { SessionEnd } from './accounts.ts';
import type { ModerationRecord } from './moderators.ts';
import { NotificationAudiences } from './notification-lists.ts';
import type { LogRow, Oracle } from './oracle.ts';
import type { BlockWrite } from './program.ts';
import type { Answer, Segment, Story, Told } from './record.ts';
import type { Rule, Violation } from './rules.ts';

/** How old a node's look at the log may be when it replays. Milliseconds. */
const STALE = 1000;

type Event = NonNullable<Told['event']>;

/** What was done by people, beside what the log has of it. */
interface Done {
  blocks: readonly BlockWrite[];
  ends: readonly SessionEnd[];
  /** User → when the end of the account was asked for. */
  erased: ReadonlyMap<number, number>;
  moderation: ModerationRecord;
}

/** Judges what listeners were told by what the oracle says that they must be. */
export class StreamRules {
  readonly violations: Violation[] = [];
  readonly #oracle: Oracle;
  readonly #blocks: readonly BlockWrite[];
  readonly #ends: readonly SessionEnd[];
  readonly #erased: ReadonlyMap<number, number>;
  /** The payload of each event with its text, as somebody was told it, and when anybody first heard of the event. */
  readonly #texts = new Map<number, unknown>();
  readonly #firstHeard = new Map<number, number>();

  constructor(oracle: Oracle, { blocks, ends, erased, moderation }: Done, stories: readonly Story[]) {
    this.#oracle = oracle;
    this.#blocks = blocks;
    this.#ends = ends;
    this.#erased = erased;
    for (const { segments } of stories)
      for (const { at, seq, event } of segments.flatMap(({ told }) => told))
        if (event) this.#firstHeard.set(seq, Math.min(at, this.#firstHeard.get(seq) ?? Infinity));
    const notifications = new NotificationAudiences(oracle, moderation);
    for (const [at, row] of oracle.log.entries()) {
      if (row.seq !== at + 1) this.#blame('log', `behind ${at} comes ${row.seq}`);
      const isRight = row.name.startsWith('notification')
        ? notifications.admits(row, Number(row.audience.slice('user:'.length)))
        : concerned(row).includes(row.audience);
      if (!isRight) this.#blame('audience', `${row.name} ${row.seq} is for ${row.audience}`);
    }
    for (const story of stories) {
      for (const reset of story.resets) this.#blame('reset', `${story.name}: ${reset}`);
      for (const segment of story.segments) this.#segment(story, segment);
      for (const answer of story.answers) this.#answer(story, answer);
    }
  }

  #segment({ name, userId }: Story, { topics, from, chain, told, openedAt }: Segment): void {
    const where = `${name} [${topics?.join(' ') ?? 'public'}] from ${from}`;
    let position = from;
    let before = chain;
    const ends = this.#ends.filter((end) => end.userId === userId && end.asked > openedAt);
    const over = Math.min(...ends.map((end) => end.over ?? Infinity));
    const late = told.find(({ at }) => at > over);
    if (late) this.#blame('ended', `${where}: ${late.event?.name ?? 'a head'} ${late.seq}`);
    for (const { at, seq, prev, event } of told) {
      if (prev !== undefined && (prev > position || (seq > position && prev < before)))
        this.#blame(
          'chain',
          `${where}: at ${position}, told ${before}, came ${event?.name ?? 'a head'} {${prev}, ${seq}}`,
        );
      if (event && seq <= position) this.#blame('once', `${where}: ${event.name} ${seq} came at ${position}`);
      else if (seq > position) {
        this.#skipped(where, userId, topics, position, event ? seq - 1 : seq, at);
        position = seq;
      }
      if (event) this.#delivered(where, userId, topics, topics, { at, seq, event, openedAt });
      if (event) before = Math.max(before, seq);
    }
  }

  #answer({ name, userId }: Story, { at, openedAt, topics, all, from, upTo, events }: Answer): void {
    const where = `${name}, answered [${topics.join(' ')}] from ${from} to ${upTo}`;
    let position = from;
    for (const { seq, ...event } of events) {
      if (seq <= position || seq > upTo) {
        this.#blame('once', `${where}: ${event.name} ${seq} came at ${position}`);
        continue;
      }
      this.#skipped(where, userId, topics, position, seq - 1, at, all);
      position = seq;
      this.#delivered(where, userId, topics, all, { at, seq, event, openedAt });
    }
    this.#skipped(where, userId, topics, position, upTo, at, all);
  }

  /** Nothing of (after, upTo] was handed over: it is passed by. */
  #skipped(
    where: string,
    userId: number,
    topics: readonly string[] | undefined,
    after: number,
    upTo: number,
    at: number,
    all?: readonly string[],
  ): void {
    for (let seq = after + 1; seq <= upTo; seq += 1) {
      const row = this.#oracle.at(seq);
      if (this.#oracle.reach(row, userId, topics) === undefined) continue;
      // Who has lost the role meanwhile is not sent it any more.
      if (
        row.audience === 'role:moderator' &&
        this.#oracle.isAppointedAnew(userId, row.seq, this.#upTo(row, at))
      )
        continue;
      // What concerns one alone comes in the stream, never in an answer.
      if (all && row.audience !== 'public') continue;
      if (this.#hidden(row, userId, all ?? topics, at) === 'none')
        this.#blame('missing', `${where}: ${row.name} ${seq} by ${row.authorId ?? 0}`);
    }
  }

  #delivered(
    where: string,
    userId: number,
    topics: readonly string[] | undefined,
    all: readonly string[] | undefined,
    { at, seq, event, openedAt }: { at: number; seq: number; event: Event; openedAt: number },
  ): void {
    const row = this.#oracle.at(seq);
    const what = `${where}: ${event.name} ${seq} by ${row.authorId ?? 0}`;
    const reach = this.#oracle.reach(row, userId, topics);
    if (reach === undefined) {
      const isForOthers = row.audience !== 'public' && row.audience !== `user:${userId}`;
      this.#blame(isForOthers ? 'audience' : 'topics', what);
      return;
    }
    const isDeparture = this.#oracle.reach(row, userId, all) === 'departure';
    if (this.#hidden(row, userId, all, at) === 'all') this.#blame('hidden', what);
    if (authorsOf(row).every((authorId) => this.#isBlocked(userId, authorId, at))) this.#blame('block', what);
    const { name, data } = isDeparture && row.departure ? row.departure : row;
    if (event.name !== name) this.#blame('content', `${what} is ${name}`);
    else if (isDeparture) this.#same(what, event.data, data);
    else this.#payload(what, row, event, openedAt);
  }

  #payload(what: string, row: LogRow, { data }: Event, openedAt: number): void {
    const cut = (value: object): unknown => JSON.parse(redacted(JSON.stringify(value), row.redaction));
    this.#same(what, cut(data), cut(row.data));
    const wasCut = 'redacted' in row.data;
    if (!('redacted' in data)) {
      if (!this.#texts.has(row.seq)) this.#texts.set(row.seq, wasCut ? data : row.data);
      this.#same(what, data, this.#texts.get(row.seq));
      const heard = wasCut && this.#firstHeard.get(this.#cutBy(row));
      if (heard && heard + STALE < openedAt) this.#blame('erased', what);
    } else if (!wasCut) this.#blame('content', `${what} has lost its text`);
  }

  /** The event that took the text out of another. */
  #cutBy({ seq, entityType, entityId, containerType, containerId }: LogRow): number {
    const next = this.#oracle.log
      .slice(seq)
      .find(
        (later) =>
          (later.entityType === entityType && later.entityId === entityId && !addsOnly.has(later.name)) ||
          (later.erasesContainer &&
            later.containerType === containerType &&
            later.containerId === containerId),
      );
    return next?.seq ?? 0;
  }

  #same(what: string, told: unknown, logged: unknown): void {
    if (!isDeepStrictEqual(told, logged))
      this.#blame('content', `${what}: ${JSON.stringify(told)} is not ${JSON.stringify(logged)}`);
  }

  /** The highest position that a node can have had when an event was sent that came at a moment. */
  #upTo({ seq }: LogRow, at: number): number {
    return Math.max(seq, this.#oracle.headAt(at));
  }

  #hidden(
    row: LogRow,
    userId: number,
    topics: readonly string[] | undefined,
    at: number,
  ): 'all' | 'some' | 'none' {
    const upTo = this.#upTo(row, at);
    const each = authorsOf(row).map((authorId) =>
      this.#oracle.hidden(
        userId,
        authorId,
        topics?.includes(`author:${authorId ?? 0}`) === true,
        row.seq,
        upTo,
      ),
    );
    if (each.every((hidden) => hidden === 'all')) return 'all';
    return each.includes('none') ? 'none' : 'some';
  }

  /**
   * Whether a block of one of the two had been answered by then, and nobody had thought of ending it: it ends with the
   * account of either.
   */
  #isBlocked(userId: number, authorId: number | null, at: number): boolean {
    const mayBeGone = (id: number) => (this.#erased.get(id) ?? Infinity) < at;
    return this.#blocks.some(
      (block) =>
        block.wanted &&
        block.answered !== undefined &&
        block.answered < at &&
        !mayBeGone(block.userId) &&
        !mayBeGone(block.targetId) &&
        isBetween(block, userId, authorId) &&
        !this.#blocks.some(
          (other) =>
            !other.wanted &&
            other.userId === block.userId &&
            other.targetId === block.targetId &&
            other.asked < at &&
            (other.answered ?? Infinity) > block.asked,
        ),
    );
  }

  #blame(rule: Rule, what: string): void {
    this.violations.push({ rule, what });
  }
}

/** These take nothing out of earlier events. */
const addsOnly: ReadonlySet<string> = new Set(['post:created', 'notification:added']);

/** Of whose posts an event tells: of one author's, or of the end of a thread with replies of others too. */
function authorsOf({ authorId, departure }: LogRow): (number | null)[] {
  const topics = departure?.topics.filter((topic) => topic.startsWith('author:')) ?? [];
  return [authorId, ...topics.map((topic) => Number(topic.slice('author:'.length)))];
}

/** Whom an event may be for, by what it says. */
function concerned({ name, entityId, data, relation }: LogRow): string[] {
  if (name.startsWith('post:')) return ['public'];
  if (name.startsWith('report:')) return ['role:moderator'];
  if (name === 'role:changed') return [`user:${entityId}`];
  const { follower, followee } = data as Partial<Record<'follower' | 'followee', { id: number }>>;
  const ids = follower ? [follower.id, followee?.id] : [relation?.user_id];
  return ids.map((id) => `user:${id ?? 0}`);
}

function isBetween({ userId, targetId }: BlockWrite, one: number, other: number | null): boolean {
  return (userId === one && targetId === other) || (userId === other && targetId === one);
}
