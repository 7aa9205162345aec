import { isDeepStrictEqual } from 'node:util';
import type { NotificationView } from '../../server/contract.ts';
import type { LogRow } from './oracle.ts';
import type { Violation } from './rules.ts';

/** What a moderator asked for. */
export interface ModerationAct {
  action: string;
  /** Whom it is about, or the owner of the post. */
  userId: number;
  postId: number | null;
  isDone: boolean;
}

/** What somebody reported: a post, or a user. */
interface ReportWrite {
  reporterId: number;
  postId: number | null;
}

/** What was asked of moderation: whom it concerns is notified. */
export class ModerationRecord {
  readonly acts: ModerationAct[] = [];
  readonly reports: ReportWrite[] = [];

  /** Whether a notification of moderation may be for a user. */
  explains({ act, post_id: postId }: NotificationView, userId: number): boolean {
    if (act?.startsWith('report_'))
      return this.reports.some((report) => report.reporterId === userId && report.postId === postId);
    return this.acts.some((one) => isDeepStrictEqual(targetOf(one), { action: act, userId, postId }));
  }

  /**
   * Each act that was answered for has notified once.
   * @param erased whose notifications went with the account
   */
  violations(log: readonly LogRow[], erased: ReadonlyMap<number, number>): Violation[] {
    const told = new Map<string, Set<number>>();
    for (const { name, data, entityId, audience } of log) {
      const { kind, act, post_id: postId } = data as unknown as NotificationView;
      if (name !== 'notification:added' || kind !== 'moderation' || act?.startsWith('report_')) continue;
      const key = JSON.stringify({ action: act, userId: Number(audience.slice('user:'.length)), postId });
      told.set(key, (told.get(key) ?? new Set()).add(entityId));
    }
    const keys = new Set([...told.keys(), ...this.acts.map((act) => JSON.stringify(targetOf(act)))]);
    return [...keys].flatMap((key) => {
      const asked = this.acts.filter((act) => JSON.stringify(targetOf(act)) === key);
      const done = asked.filter(({ isDone }) => isDone).length;
      const count = told.get(key)?.size ?? 0;
      if (count >= done && count <= asked.length) return [];
      if (asked.some(({ userId }) => erased.has(userId))) return [];
      const what = `${count} of ${key}, which was asked for ${asked.length} times and done ${done} times`;
      return [{ rule: 'notified' as const, what }];
    });
  }
}

const targetOf = ({ action, userId, postId }: ModerationAct) => ({ action, userId, postId });
