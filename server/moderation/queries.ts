import { QueryTypes, type Transaction } from 'sequelize';
import type { Identity } from '../identity.ts';
import { encodeCursor, placeBefore } from '../keyset-cursor.ts';
import { sequelizeOf } from '../library-internals/sequelize.ts';
import { NoHead } from '../log/reader.ts';
import type { Requester } from '../queues/fair-queue.ts';
import type { ModerationContext } from './context.ts';
import {
  auditColumns,
  auditTables,
  type AuditView,
  caseColumns,
  caseTables,
  type CaseView,
} from './present.ts';
import type { ListCases, ListLog } from './schemas.ts';

/** A page of the audit log, the newest entry first. */
export interface AuditPage {
  entries: AuditView[];
  /** Where the next page begins; undefined on the last. */
  next: string | undefined;
}

/** @throws {AppError} 422 for a cursor of another list */
export async function auditPage(
  ctx: Pick<ModerationContext, 'db'>,
  { action, actor_id, user_id, post_id, limit, cursor: given }: ListLog,
  requester: Requester,
): Promise<AuditPage> {
  const before = placeBefore('moderation-log', given).id;
  const rows = await ctx.db.share(requester).query<{ view: AuditView }>(
    `select ${auditColumns} as view from ${auditTables}
     where e.id < $1 and ($2::text is null or e.action = $2) and ($3::bigint is null or e.actor_id = $3)
       and ($4::bigint is null or e.user_id = $4) and ($5::bigint is null or e.post_id = $5)
     order by e.id desc limit $6`,
    {
      type: QueryTypes.SELECT,
      bind: [before, action ?? null, actor_id ?? null, user_id ?? null, post_id ?? null, limit + 1],
    },
  );
  const entries = rows.slice(0, limit).map(({ view }) => view);
  const last = entries.at(-1);
  return {
    entries,
    next: rows.length > limit && last ? encodeCursor('moderation-log', last.id, last.id) : undefined,
  };
}

/** One entry, as the transaction that writes it has it. */
export async function auditEntry(tx: Transaction, id: number): Promise<AuditView> {
  const [row] = await sequelizeOf(tx).query<{ view: AuditView }>(
    `select ${auditColumns} as view from ${auditTables} where e.id = $1`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [id] },
  );
  if (!row) throw new Error(`the audit log has no entry ${id}`);
  return row.view;
}

/** A page of cases, the newest first. */
export interface CasePage {
  /** The stream position that the page reflects. */
  epoch: string;
  seq: number;
  cases: CaseView[];
  /** Where the next page begins; undefined on the last. */
  next: string | undefined;
}

/** As a moderator sees them. @throws {AppError} 422 for a cursor of another list */
export async function casePage(
  ctx: Pick<ModerationContext, 'db'>,
  viewer: Identity,
  { state, limit, cursor: given }: ListCases,
  requester: Requester,
): Promise<CasePage> {
  const before = placeBefore('moderation-cases', given).id;
  const rows = await ctx.db.share(requester).query<{ epoch: string; seq: number; view: CaseView | null }>(
    `select h.epoch, h.seq, page.view
     from feed_head h left join lateral (
       select c.id, ${caseColumns('$3')} as view from ${caseTables}
       where c.id < $1 and c.resolved_at is ${state === 'open' ? '' : 'not '}null
       order by c.id desc limit $2
     ) page on true
     order by page.id desc`,
    { type: QueryTypes.SELECT, bind: [before, limit + 1, viewer.id] },
  );
  const [first] = rows;
  if (!first) throw new NoHead();
  const found = rows.flatMap(({ view }) => (view === null ? [] : [view]));
  const cases = found.slice(0, limit);
  const last = cases.at(-1);
  return {
    epoch: first.epoch,
    seq: first.seq,
    cases,
    next: found.length > limit && last ? encodeCursor('moderation-cases', last.id, last.id) : undefined,
  };
}
