'use strict';

const numbering = require('./20261124000005-numbering.cjs');

/**
 * Cuts the text of deleted posts out of the log a bounded piece at a time. It was cut in the statement that numbered the
 * deletion: for a post that had been edited a hundred thousand times, or an account with as many events, that took longer
 * than a statement may, so the batch was rolled back, was the next again, and nothing was numbered any more.
 *
 * What is still to be cut stands in `redactions`, from the transaction on that numbers the deletion, and whoever reads the
 * log cuts what he reads of these posts himself (server/log/reader.ts): deleted is gone at once, in the table a little later.
 */
module.exports = {
  async up(queryInterface) {
    const { sequelize } = queryInterface;
    await sequelize.query(`
      create table redactions (
        post_id bigint primary key,
        next_seq bigint not null default 0,
        before_seq bigint not null
      );
      create index events_post_id_seq_idx on events (post_id, seq);
      drop index events_post_id_idx;

      create function redacted(data json) returns json
      language sql stable parallel safe
      return (data::jsonb || jsonb_build_object(
        'title', '', 'content', '', 'redacted', true,
        'owner', jsonb_build_object('id', data -> 'owner' -> 'id', 'username', '')))::json;
    `);

    // By whatever plan is right for many rows: see 20261124000005-numbering.
    await sequelize.query(`
      create or replace function number_events(at_most integer)
      returns table (first_seq bigint, last_seq bigint)
      language plpgsql set enable_seqscan = off as $$
      declare
        most_redacted constant integer := 2000;
        head bigint;
        taken bigint;
        gone_posts bigint[];
        gone_seqs bigint[];
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
        )
        select count(*),
          array_agg(n.post_id) filter (where n.name = 'post:deleted'),
          array_agg(n.seq) filter (where n.name = 'post:deleted')
        into taken, gone_posts, gone_seqs
        from numbered n;
        if taken > 0 then
          update feed_head set seq = head + taken where id = 1;
        end if;

        -- Deleted is gone: what the log said of a post before this batch took it away is said no more.
        if gone_posts is not null then
          insert into redactions as r (post_id, before_seq)
          select g.post_id, max(g.seq) from unnest(gone_posts, gone_seqs) as g (post_id, seq) group by g.post_id
          on conflict (post_id) do update set before_seq = excluded.before_seq;
        end if;
        if exists (select from redactions) then
          with due as (
            select r.post_id, e.seq
            from redactions r cross join lateral (
              select w.seq from events w
              where w.post_id = r.post_id and w.seq >= r.next_seq and w.seq < r.before_seq
              order by w.seq limit most_redacted
            ) e
            limit most_redacted
          ), cut as (
            update events e set data = redacted(e.data)
            from due where e.seq = due.seq and e.name <> 'post:deleted' and e.data -> 'redacted' is null
          )
          update redactions r set next_seq = reached.seq + 1
          from (select due.post_id, max(due.seq) as seq from due group by due.post_id) reached
          where r.post_id = reached.post_id;
          delete from redactions r
          where not exists (
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
    await sequelize.query(`
      update events e set data = redacted(e.data)
      from redactions r
      where e.post_id = r.post_id and e.seq >= r.next_seq and e.seq < r.before_seq
        and e.name <> 'post:deleted' and e.data -> 'redacted' is null;
    `);
    await numbering.up(queryInterface);
    await sequelize.query(`
      create index events_post_id_idx on events (post_id);
      drop index events_post_id_seq_idx;
      drop table redactions;
      drop function redacted(json);
    `);
  },
};
