'use strict';

/** Votes that wait for nobody's lock but their own, and a log that is known for another one also when it has grown past us. */
module.exports = {
  async up(queryInterface) {
    // Beside the function of three arguments, which nodes of the version before go on using. Without patience, votes by a
    // user or on a post that somebody else has locked are given back as `held`, and nothing is written of them. Tallies are
    // waited for: whoever else locks one has either locked its post before, or is another call of this.
    await queryInterface.sequelize.query(`
      create function cast_votes(voters bigint[], targets bigint[], ups boolean[], patient boolean)
      returns table (ord integer, outcome text, post_id bigint, votes integer, rev bigint, published boolean)
      language plpgsql as $$
      #variable_conflict use_column
      declare
        free_voters bigint[];
        free_targets bigint[];
      begin
        if patient then
          free_voters := array(select u.id from users u where u.id = any (voters) order by u.id for key share);
          free_targets := array(select p.id from posts p where p.id = any (targets) order by p.id for key share);
        else
          free_voters := array(
            select u.id from users u where u.id = any (voters) order by u.id for key share skip locked);
          free_targets := array(
            select p.id from posts p where p.id = any (targets) order by p.id for key share skip locked);
        end if;
        perform 1 from post_tallies t where t.post_id = any (free_targets) order by t.post_id for update;

        return query
        with asked as (
          select a.ord::integer as ord, a.voter, a.target, a.up, p.published,
                 u.id is not null as known,
                 coalesce(p.published or p.owner_id = a.voter, false) as visible,
                 coalesce(u.id <> all (free_voters) and u.id is not null, false)
                   or coalesce(p.id <> all (free_targets) and p.id is not null, false) as held
          from unnest(voters, targets, ups) with ordinality as a (voter, target, up, ord)
          left join users u on u.id = a.voter
          left join posts p on p.id = a.target
        ), added as (
          insert into votes (user_id, post_id)
          select voter, target from asked where up and known and visible and not held
          on conflict do nothing
          returning user_id, post_id
        ), removed as (
          delete from votes v using asked a
          where not a.up and a.visible and not a.held and v.user_id = a.voter and v.post_id = a.target
          returning v.user_id, v.post_id
        ), changes as (
          select c.post_id, sum(c.by)::integer as by
          from (select post_id, 1 as by from added union all select post_id, -1 from removed) c
          group by c.post_id
        ), tallied as (
          update post_tallies t
          set votes = t.votes + c.by,
              rev = t.rev + 1,
              hot = hot_rank(t.votes + c.by, p.listed_at),
              xid = pg_current_xact_id()
          from changes c join posts p on p.id = c.post_id
          where t.post_id = c.post_id and c.by <> 0
          returning t.post_id, t.votes, t.rev
        )
        select a.ord,
               case
                 when a.held then 'held'
                 when not a.known then 'no_user'
                 when not a.visible then 'no_post'
                 when a.up then case when n.user_id is null then 'already' else 'added' end
                 else case when r.user_id is null then 'absent' else 'removed' end
               end,
               a.target,
               coalesce(n2.votes, t.votes),
               coalesce(n2.rev, t.rev),
               a.published
        from asked a
        left join post_tallies t on t.post_id = a.target
        left join tallied n2 on n2.post_id = a.target
        left join added n on n.user_id = a.voter and n.post_id = a.target
        left join removed r on r.user_id = a.voter and r.post_id = a.target;
      end
      $$;
    `);

    // An older copy of the database, put back beneath running nodes, may have been written to before one of them looks: then
    // its log is no shorter than what the node has seen, but what stands at that place was written at another time.
    await queryInterface.sequelize.query(`
      create function open_feed(seen_epoch uuid, seen_seq bigint, seen_at double precision)
      returns table (epoch uuid, seq bigint, floor bigint)
      language plpgsql as $$
      #variable_conflict use_column
      declare
        here text := database_fingerprint();
        head feed_head%rowtype;
        other boolean := exists (
          select from events e
          where e.seq = seen_seq and (extract(epoch from e.created_at) * 1000)::double precision <> seen_at
        );
      begin
        select h.* into head from feed_head h where h.id = 1;
        if head.fingerprint <> here or (head.epoch = seen_epoch and (head.seq < seen_seq or other)) then
          select h.* into head from feed_head h where h.id = 1 for update;
          if head.fingerprint <> here or (head.epoch = seen_epoch and (head.seq < seen_seq or other)) then
            update feed_head h
            set fingerprint = here, epoch = case when head.fingerprint = '' then h.epoch else gen_random_uuid() end
            where h.id = 1;
            -- Transaction numbers of another cluster may lie in this one's future.
            update post_tallies t set xid = pg_current_xact_id() where t.xid > pg_current_xact_id();
            update events e set horizon = '0' where e.horizon > pg_current_xact_id();
            update revocations r set xid = pg_current_xact_id() where r.xid > pg_current_xact_id();
          end if;
        end if;
        return query select h.epoch, h.seq, h.floor from feed_head h where h.id = 1;
      end
      $$;
    `);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      drop function open_feed(uuid, bigint, double precision);
      drop function cast_votes(bigint[], bigint[], boolean[], boolean);
    `);
  },
};
