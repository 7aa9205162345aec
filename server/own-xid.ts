/**
 * SQL: whether the `xid` of a row that is seen can be of this cluster. A row that came with a backup of another one may have a
 * number that has not been given here yet: it has not changed. Once its turn comes, it is told once more, which does no harm.
 */
export const ownXid = 'xid < pg_snapshot_xmax(pg_current_snapshot())';
