import type { Prune } from '../database/pruner.ts';

/**
 * Deletes events beyond the retention. The floor moves in the transaction that deletes: a position above it can always be
 * served. The events are found from the oldest on, which needs no index on their time. The head is locked first, as by who
 * numbers: the batch in hand may redact one of these events.
 * @param retention in milliseconds
 * @returns a step
 */
export function pruneEvents(retention: number): Prune {
  return {
    what: 'events',
    run: async (pool, most) => {
      const { rows } = await pool.query<{ pruned: number }>(
        `with old as (
         select seq from (select seq, created_at from event_log order by seq limit $2) oldest
         where created_at < now() - $1 * interval '1 millisecond'
       ), head as materialized (
         select h.id from feed_head h where exists (select from old) for no key update
       ), gone as (
         delete from event_log where seq <= (select max(seq) from old) and exists (select from head)
         returning seq, audience, topics, departure
       ), unfound as (
         delete from event_topics t
         using gone g, probed_topics(g.audience, g.topics, g.departure) as p (topic)
         where t.topic = p.topic and t.seq = g.seq
       ), moved as (
         update feed_head set floor = greatest(floor, (select max(seq) from gone)) where exists (select 1 from gone)
       )
       select count(*) as pruned from gone`,
        [retention, most],
      );
      return rows[0]?.pruned ?? 0;
    },
  };
}
