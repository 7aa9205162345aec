import type { Caller } from './caller.ts';
import type { AuditEntry, ModerationAction, ModerationCase } from './contract.ts';
import { nextCursor, type PageOptions, type PagePlace, placeOf } from './page-place.ts';

export interface CaseListOptions extends PageOptions {
  /** Those that wait, which is the server's default, or those that are resolved. */
  state?: 'open' | 'resolved';
}

export interface CasePage extends PagePlace {
  /** The newest first. */
  cases: ModerationCase[];
}

export interface AuditLogOptions extends PageOptions {
  /** Only this action. */
  action?: AuditEntry['action'];
  /** Only what this user did. */
  actorId?: number;
  /** Only what was done to this user. */
  userId?: number;
  /** Only what was done to this post. */
  postId?: number;
}

export interface AuditPage {
  /** The newest first. */
  entries: AuditEntry[];
  /** The cursor of the next page; undefined on the last. */
  next: string | undefined;
}

/** What moderators do. Others are refused with `forbidden`. */
export class Moderation {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** What users have reported. */
  readonly cases = async ({ state, limit, cursor, signal }: CaseListOptions = {}): Promise<CasePage> => {
    const { body, headers } = await this.#caller.get<ModerationCase[]>(
      '/moderation/cases',
      { state, limit, cursor },
      signal,
    );
    return { cases: body, ...placeOf(headers) };
  };

  /**
   * Acts on a post or on a user. It is not tried again by itself.
   * @returns its entry in the audit log
   * @throws {TidingsError} `not_found`; `forbidden`: of yourself, or of a role on which you may not act; `conflict`: it
   *   does not apply, or somebody else has done it
   */
  readonly act = (action: ModerationAction): Promise<AuditEntry> =>
    this.#caller.body({
      method: 'POST',
      path: '/moderation/actions',
      body: action,
      repeatable: false,
    });

  /** The audit log: what moderators and the operator did. */
  readonly log = async ({
    action,
    actorId,
    userId,
    postId,
    limit,
    cursor,
    signal,
  }: AuditLogOptions = {}): Promise<AuditPage> => {
    const { body, headers } = await this.#caller.get<AuditEntry[]>(
      '/moderation/log',
      { action, actor_id: actorId, user_id: userId, post_id: postId, limit, cursor },
      signal,
    );
    return { entries: body, next: nextCursor(headers) };
  };
}
