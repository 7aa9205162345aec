import type pg from 'pg';

/** Of the one process at a time that prunes the log. An advisory lock. */
const LOCK = 8_434_810_618;

/**
 * Deletes events beyond the retention. The floor moves in the transaction that deletes: a position above it can always be
 * served. The events are found from the oldest on, which needs no index on their time. The head is locked first, as by who
 * numbers: the batch in hand may redact one of these events.
 *
 * Numbering waits meanwhile, so one process prunes at a time, and rows are found by plans that do not depend on the size
 * of the log: by their numbers, by `ctid`, and in `event_topics` each in a subquery of its own (`offset 0`).
 * @param retention in milliseconds
 */
export function pruneEvents(retention: number): {
  what: string;
  run: (pool: pg.Pool, most: number) => Promise<number>;
} {
  return {
    what: 'events',
    run: async (pool, most) => {
      const { rows } = await pool.query<{ pruned: number }>(
        `with oldest as materialized (
           select seq, created_at from event_log order by seq limit $2
         ), old as materialized (
           select max(seq) as last from oldest where created_at < now() - $1 * interval '1 millisecond'
         ), head as materialized (
           select h.id from feed_head h, old
           where old.last is not null and pg_try_advisory_xact_lock(${LOCK}) for no key update of h
         ), gone as (
           delete from event_log
           where seq = any(array(select o.seq from oldest o, old where o.seq <= old.last))
             and exists (select from head)
           returning seq, audience, topics, departure
         ), unfound as (
           delete from event_topics where ctid = any(array(
             select t.ctid from gone g, probed_topics(g.audience, g.topics, g.departure) as p (topic),
               lateral (select t.ctid from event_topics t where t.topic = p.topic and t.seq = g.seq offset 0) t))
         ), moved as (
           update feed_head set floor = greatest(floor, (select max(seq) from gone)) where exists (select from gone)
         )
         select count(*) as pruned from gone`,
        [retention, most],
      );
      return rows[0]?.pruned ?? 0;
    },
  };
}
