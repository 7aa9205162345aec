import { type Prune, pruneBy } from '../database/pruner.ts';

/** Idempotency keys of yesterday. */
export const idempotencyPrunes: readonly Prune[] = [
  pruneBy(
    `delete from idempotency_keys where ctid in (select ctid from idempotency_keys where created_at < now() - interval '1 day' limit $1)`,
  ),
];
