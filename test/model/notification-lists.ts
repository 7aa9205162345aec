import { isDeepStrictEqual } from 'node:util';
import type {
  NotificationsRead,
  NotificationState,
  NotificationView,
  PostView,
} from '../../server/contract.ts';
import type { ModerationRecord } from './moderators.ts';
import type { LogRow, Oracle } from './oracle.ts';
import { visibleAt } from './pages.ts';
import type { Story, Told } from './record.ts';
import type { Violation } from './rules.ts';

/** Somebody's notifications as they were read, with how many are unread. */
export interface NotificationListPage extends NotificationState {
  userId: number;
  seq: number;
  notifications: readonly NotificationView[];
  /** It may have ended before the list. */
  isCut: boolean;
  isQuiet: boolean;
}

type Event = NonNullable<Told['event']>;

/** A list at a position with what the user was told behind it is the list at the end, and so is the number of unread ones. */
export function notificationListViolations(
  pages: readonly NotificationListPage[],
  stories: readonly Story[],
  oracle: Oracle,
): Violation[] {
  const violations = pages.filter(({ isQuiet }) => isQuiet).flatMap((page) => sourceViolations(page, oracle));
  for (const { userId, seq, unread, notifications, isCut } of pages) {
    const found = notifications.filter(({ read }) => !read).length;
    if (!isCut && found !== unread)
      violations.push({
        rule: 'unread',
        what: `user ${userId} at ${seq} has ${found} unread, and was told ${unread}`,
      });
  }
  for (const { name, userId, segments } of stories) {
    const start = segments[0]?.from ?? Infinity;
    const own = pages.filter((page) => page.userId === userId && page.seq >= start && !page.isCut);
    const told = segments.flatMap((segment) => segment.told);
    for (const end of own.filter(({ isQuiet }) => isQuiet))
      for (const page of own.filter(({ seq }) => seq <= end.seq)) {
        const events = told.flatMap(({ seq, event }) =>
          event && seq > page.seq && seq <= end.seq ? [event] : [],
        );
        const [made, read] = [summaryOf(events.reduce(folded, page)), summaryOf(end)];
        if (!isDeepStrictEqual(made, read))
          violations.push({
            rule: 'fold',
            what: `${name}: notifications at ${page.seq} with what came up to ${end.seq}: ${JSON.stringify(made)}, not ${JSON.stringify(read)}`,
          });
      }
  }
  return violations;
}

/** A list at rest has what is still there and not hidden from its reader, and each act once. */
function sourceViolations({ userId, seq, notifications }: NotificationListPage, oracle: Oracle): Violation[] {
  const { posts, untold } = visibleAt(oracle, seq);
  const acts = new Set<string>();
  const faults: string[] = [];
  for (const { id, kind, actor, post_id: postId } of notifications) {
    if (kind === 'moderation') continue;
    const act =
      kind === 'follow'
        ? `follow of ${actor?.id ?? 0}`
        : `${kind === 'votes' ? 'votes' : 'text'} of ${postId ?? 0}`;
    if (acts.has(act)) faults.push(`${id}, another one of the ${act}`);
    acts.add(act);
    if (postId !== null && !posts.has(postId) && !untold.has(postId))
      faults.push(`${id} of post ${postId}, which is not there`);
    if (kind === 'follow' && !oracle.stands('follow', actor?.id ?? 0, userId, seq))
      faults.push(`${id} of a follow by user ${actor?.id ?? 0}, which has ended`);
    if (oracle.hidden(userId, actor?.id ?? null, false, seq, seq) === 'all')
      faults.push(`${id} by user ${actor?.id ?? 0}, who is hidden`);
  }
  return faults.map((what) => ({ rule: 'notification', what: `user ${userId} at ${seq} has ${what}` }));
}

function folded(page: NotificationListPage, { name, data }: Event): NotificationListPage {
  const others = page.notifications.filter(({ id }) => id !== data.id);
  switch (name) {
    case 'notification:added':
      return { ...page, notifications: [...others, data as unknown as NotificationView] };
    case 'notification:removed':
      return { ...page, notifications: others };
    case 'notification:read': {
      const { up_to } = data as unknown as NotificationsRead;
      return {
        ...page,
        notifications: page.notifications.map((one) => (one.rev <= up_to ? { ...one, read: true } : one)),
      };
    }
    case 'notifications:state': {
      const state = data as unknown as NotificationState;
      return state.rev > page.rev ? { ...page, ...state } : page;
    }
    default:
      return page;
  }
}

/** What does not depend on when names were taken out. */
function summaryOf({ notifications, unread, rev }: NotificationListPage) {
  const all = notifications.toSorted((one, other) => one.id - other.id);
  return {
    unread,
    rev,
    all: all.map(({ id, kind, actor, post_id, people, rev, read }) =>
      [id, kind, actor?.id ?? 0, post_id ?? 0, people, rev, read ? 'read' : 'unread'].join(' '),
    ),
  };
}

/** For whom events of notifications are, told from the events of what they are about. */
export class NotificationAudiences {
  readonly #oracle: Oracle;
  readonly #moderation: ModerationRecord;
  /** Post → all that was told of it, in order. */
  readonly #posts = new Map<number, LogRow[]>();
  /** Notification → the event that told of it first. */
  readonly #added = new Map<number, LogRow>();

  constructor(oracle: Oracle, moderation: ModerationRecord) {
    this.#oracle = oracle;
    this.#moderation = moderation;
    for (const row of oracle.log) {
      if (row.name.startsWith('post:'))
        this.#posts.set(row.entityId, [...(this.#posts.get(row.entityId) ?? []), row]);
      if (row.name === 'notification:added' && !this.#added.has(row.entityId))
        this.#added.set(row.entityId, row);
    }
  }

  /** Whether an event may be for a user. */
  admits({ name, entityId }: LogRow, userId: number): boolean {
    if (name === 'notification:read' || name === 'notifications:state') return entityId === userId;
    const first = this.#added.get(entityId);
    if (first?.audience !== `user:${userId}`) return false;
    const view = first.data as unknown as NotificationView;
    const { kind, actor, post_id } = view;
    if (kind === 'moderation') return this.#moderation.explains(view, userId);
    if (kind === 'follow') return this.#oracle.changes('follow', actor?.id ?? 0, userId, 0, Infinity);
    if (actor?.id === userId) return false;
    const told = (this.#posts.get(post_id ?? 0) ?? []).map(({ data }) => data as unknown as PostView);
    // Of an edited or a deleted text nobody knows any more whom it mentioned.
    if (kind === 'mention')
      return told.some(({ mentions, redacted }) => redacted ?? mentions?.some(({ id }) => id === userId));
    const about = kind === 'votes' ? post_id : told.find(({ parent_id }) => parent_id)?.parent_id;
    return this.#posts.get(about ?? 0)?.some(({ authorId }) => authorId === userId) === true;
  }
}
