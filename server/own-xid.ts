/**
 * SQL: whether the `xid` of a row that is seen can be of this cluster. A row that came with a backup of another one may have a
 * number that has not been given here yet: it has not changed. Once that number is given here, the row is told once more. For a
 * tally and the end of one session that does no harm; of the ends of all sessions of a user `open_feed` takes the number away.
 */
export const ownXid = 'xid < pg_snapshot_xmax(pg_current_snapshot())';
