import type pg from 'pg';

/** What a server runs, as far as a replica has it in common with its primary. */
export interface Place {
  /** The identifier that a cluster and all of its replicas have. */
  cluster: string;
  /** The database, and the table of the log's head in it. */
  tables: string;
  /** Grows with each promotion. Of a replica: at least this; it may be behind. */
  timeline: number;
  isStandby: boolean;
}

/** @param timeout milliseconds */
export async function placeOf(client: pg.Client, timeout: number): Promise<Place> {
  const { rows } = await client.query<Place>({
    text: `select s.system_identifier::text as cluster, concat_ws(':', d.oid, to_regclass('feed_head')::oid) as tables,
             pg_is_in_recovery() as "isStandby",
             case when pg_is_in_recovery() then greatest(c.timeline_id, r.min_recovery_end_timeline)
               else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer end as timeline
           from pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r, pg_database d
           where d.datname = current_database()`,
    query_timeout: timeout,
  } as pg.QueryConfig);
  const [place] = rows;
  if (!place) throw new Error('The server does not tell which database it runs.');
  return place;
}

/** Why this server is no replica of that primary, as a sentence; undefined if it is one. */
export function replicaFault(found: Place, primary: Place): string | undefined {
  if (!found.isStandby) return 'It is not a standby.';
  if (found.cluster !== primary.cluster)
    return 'It is a standby of another cluster than that of DATABASE_URL.';
  if (found.tables !== primary.tables)
    return 'Its address names another database or schema than DATABASE_URL.';
  if (found.timeline > primary.timeline) return 'It follows another primary than that of DATABASE_URL.';
  return undefined;
}

/** Why a replica is not used whose log has another epoch for longer than replay takes. */
export const OTHER_EPOCH =
  'Its log has another epoch than that of DATABASE_URL: it follows a primary that was put aside, or its replay stands still.';

export function isSamePlace(a: Place, b: Place): boolean {
  return a.cluster === b.cluster && a.tables === b.tables && a.timeline === b.timeline;
}
