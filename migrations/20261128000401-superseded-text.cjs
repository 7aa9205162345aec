'use strict';

const redaction = require('./20261126000001-bounded-redaction.cjs');

/**
 * Cuts the text of a version that a later event of the same post supersedes out of the log, as that of a deleted post: what an
 * edit takes out was readable there until the log was pruned. Every event but the newest of each post is cut, or stands in
 * `redactions` to be cut, so an edit has to look back by one event only; a deletion looks at all of them.
 *
 * Each call looks at a bounded number of posts and of events. It looked at every row of `redactions`, which took a third of
 * a second while the 100,000 posts of a deleted account waited there.
 */
module.exports = {
  async up(queryInterface) {
    const { sequelize } = queryInterface;
    // A call of the function that is under way ends first, and none begins before the commit. One string is one transaction
    // also where each statement of a migration has its own, as with sequelize-cli.
    // By whatever plan is right for many rows: see 20261124000005-numbering.
    await sequelize.query(`
      select from feed_head for update;

      create or replace function number_events(at_most integer)
      returns table (first_seq bigint, last_seq bigint)
      language plpgsql set enable_seqscan = off as $$
      declare
        most_posts constant integer := 500;
        most_redacted constant integer := 500;
        head bigint;
        taken bigint;
        due_posts bigint[];
      begin
        select h.seq into head from feed_head h where h.id = 1 for update skip locked;
        if not found then
          return query select null::bigint, null::bigint; -- somebody is at it
          return;
        end if;

        -- One statement, one snapshot: what commits meanwhile with a lower id is not among the rows up to the last of these.
        with moved as (
          delete from outbox o
          where o.id <= (
            select max(next.id) from (select w.id from outbox w order by w.id limit at_most) next
          )
          returning o.id, o.name, o.post_id, o.data, o.created_at
        ), numbered as (
          insert into events (seq, outbox_id, name, post_id, data, created_at)
          select head + row_number() over (order by m.id), m.id, m.name, m.post_id, m.data, m.created_at
          from moved m
          returning seq, name, post_id
        ), told as (
          select n.post_id, min(n.seq) as first_seq, max(n.seq) as last_seq,
            (array_agg(n.name order by n.seq))[1] as first_name, bool_or(n.name = 'post:deleted') as deletes
          from numbered n group by n.post_id
        ), superseding as (
          insert into redactions as r (post_id, next_seq, before_seq)
          select t.post_id, t.from_seq, t.last_seq
          from (
            select t.post_id, t.last_seq,
              case when t.deletes then 0 else coalesce(before.seq, t.first_seq) end as from_seq
            from told t left join lateral (
              select e.seq from events e
              where e.post_id = t.post_id and t.first_name <> 'post:created'
              order by e.seq desc limit 1
            ) before on true
          ) t
          where t.from_seq < t.last_seq
          on conflict (post_id) do update
          set next_seq = least(r.next_seq, excluded.next_seq), before_seq = excluded.before_seq
        )
        select count(*) into taken from numbered;
        if taken > 0 then
          update feed_head set seq = head + taken where id = 1;
        end if;

        due_posts := array(select r.post_id from redactions r order by r.post_id limit most_posts);
        if due_posts <> '{}' then
          with due as (
            select r.post_id, e.seq
            from redactions r cross join lateral (
              select w.seq from events w
              where w.post_id = r.post_id and w.seq >= r.next_seq and w.seq < r.before_seq
              order by w.seq limit most_redacted
            ) e
            where r.post_id = any (due_posts)
            limit most_redacted
          ), cut as (
            update events e set data = redacted(e.data)
            from due where e.seq = due.seq and e.name <> 'post:deleted' and e.data -> 'redacted' is null
          )
          update redactions r set next_seq = reached.seq + 1
          from (select due.post_id, max(due.seq) as seq from due group by due.post_id) reached
          where r.post_id = reached.post_id;
          delete from redactions r
          where r.post_id = any (due_posts) and not exists (
            select from events e where e.post_id = r.post_id and e.seq >= r.next_seq and e.seq < r.before_seq
          );
        end if;

        if taken > 0 then
          return query select head + 1, head + taken;
        end if;
      end
      $$;
    `);
  },

  async down(queryInterface) {
    const { sequelize } = queryInterface;
    const statements = [];
    const collect = { sequelize: { query: async (sql) => void statements.push(sql) } };
    await redaction.up(collect);
    await sequelize.query(statements.find((sql) => sql.includes('function number_events')));
  },
};
