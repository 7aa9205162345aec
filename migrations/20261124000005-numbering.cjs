'use strict';

/**
 * Numbers by whatever plan is right for many rows. The outbox is empty whenever PostgreSQL analyses it, so a plan was made
 * for one row, and with 100,000 waiting, as after hours in which nobody numbered, each batch compared all of them with all
 * of its own: 117 s, and 2 s now. The rows of a batch are a range from the lowest id, read along the primary key; which
 * posts it deletes it says itself, in place of a search of the log.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      create or replace function number_events(at_most integer)
      returns table (first_seq bigint, last_seq bigint)
      language plpgsql set enable_seqscan = off as $$
      declare
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
        if taken = 0 then
          return;
        end if;
        update feed_head set seq = head + taken where id = 1;

        -- Deleted is gone: what the log said of a post before this batch took it away is said no more.
        if gone_posts is not null then
          update events e
          set data = (e.data::jsonb || jsonb_build_object(
                'title', '', 'content', '', 'redacted', true,
                'owner', jsonb_build_object('id', e.data -> 'owner' -> 'id', 'username', '')))::json
          from (
            select g.post_id, max(g.seq) as seq from unnest(gone_posts, gone_seqs) as g (post_id, seq)
            group by g.post_id
          ) gone
          where e.post_id = gone.post_id and e.seq < gone.seq
            and e.name <> 'post:deleted' and e.data -> 'redacted' is null;
        end if;

        return query select head + 1, head + taken;
      end
      $$;
    `);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      create or replace function number_events(at_most integer)
      returns table (first_seq bigint, last_seq bigint)
      language plpgsql as $$
      declare
        head bigint;
        taken bigint;
      begin
        select h.seq into head from feed_head h where h.id = 1 for update skip locked;
        if not found then
          return query select null::bigint, null::bigint; -- somebody is at it
          return;
        end if;

        with moved as (
          delete from outbox o
          where o.id in (select w.id from outbox w order by w.id limit at_most)
          returning o.id, o.name, o.post_id, o.data, o.created_at
        )
        insert into events (seq, outbox_id, name, post_id, data, created_at)
        select head + row_number() over (order by m.id), m.id, m.name, m.post_id, m.data, m.created_at
        from moved m;
        get diagnostics taken = row_count;
        if taken = 0 then
          return;
        end if;
        update feed_head set seq = head + taken where id = 1;

        -- Deleted is gone: what the log said of a post before this batch took it away is said no more.
        update events e
        set data = (e.data::jsonb || jsonb_build_object(
              'title', '', 'content', '', 'redacted', true,
              'owner', jsonb_build_object('id', e.data -> 'owner' -> 'id', 'username', '')))::json
        from (
          select d.post_id, max(d.seq) as seq from events d
          where d.seq > head and d.name = 'post:deleted' group by d.post_id
        ) gone
        where e.post_id = gone.post_id and e.seq < gone.seq
          and e.name <> 'post:deleted' and e.data -> 'redacted' is null;

        return query select head + 1, head + taken;
      end
      $$;
    `);
  },
};
