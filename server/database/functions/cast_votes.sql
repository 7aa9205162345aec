-- version 7 sha256:24c967d4348be4bc
-- Votes of several users at once. Without patience, votes by a user or on a post that somebody else has locked are
-- given back as `held`, and nothing is written of them. Tallies are waited for: another transaction that locks one has
-- locked its post before, or is another call of this.
--
-- A vote between two of whom one blocks the other is not cast: its outcome is that of a post that is not there, for
-- nodes of the version before, and `blocked` tells it. A block locks the users that it is about, and here the voters
-- are locked before it is looked for: one that was committed before is seen. Taking a vote back is always possible.
--
-- Every transaction locks rows in the order users, posts, tallies, and each kind by id, so no two of them can wait for
-- each other. A pair (voter, target) may stand in one call only once.
drop function if exists cast_votes(bigint[], bigint[], boolean[]);
drop function if exists cast_votes(bigint[], bigint[], boolean[], boolean);

create or replace function cast_votes(voters bigint[], targets bigint[], ups boolean[], patient boolean)
returns table (ord integer, outcome text, post_id bigint, votes integer, rev bigint, published boolean,
               blocked boolean, replies integer)
language plpgsql set search_path from current as $$
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
  perform 1 from post_tallies t where t.post_id = any (free_targets) order by t.post_id for no key update;

  return query
  with asked as (
    select a.ord::integer as ord, a.voter, a.target, a.up, p.published and coalesce(r.published, true) as published,
           u.id is not null as known,
           -- A draft or a withdrawn thread only the owner of its first post sees, and nobody the posts of an account that
           -- is being deleted.
           p.deleted_at is null and o.deleted_at is null and coalesce(
             case when p.root_id is null then p.published or p.owner_id = a.voter
                  else r.published or r.owner_id = a.voter end, false) as visible,
           a.up and (
             exists (select from relations b where b.user_id = a.voter and b.kind = 'block' and b.target_id = p.owner_id)
             or exists (select from relations b where b.user_id = p.owner_id and b.kind = 'block' and b.target_id = a.voter)
           ) as blocked,
           coalesce(u.id <> all (free_voters) and u.id is not null, false)
             or coalesce(p.id <> all (free_targets) and p.id is not null, false) as held
    from unnest(voters, targets, ups) with ordinality as a (voter, target, up, ord)
    left join users u on u.id = a.voter
    left join posts p on p.id = a.target
    left join users o on o.id = p.owner_id
    left join posts r on r.id = p.root_id
  ), added as (
    insert into votes (user_id, post_id)
    select voter, target from asked where up and known and visible and not blocked and not held
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
  ), noted as (
    -- As many were taken back as were added: the tally stays, and its trigger notes nothing (`note_votes`). The owner is
    -- told of the votes without their own and those whom they hide, of which there may be others now.
    insert into vote_notices as v (post_id)
    select c.post_id from changes c where c.by = 0 order by c.post_id
    on conflict (post_id) do update set pending = true where not v.pending
  ), tallied as (
    update post_tallies t
    set votes = t.votes + c.by,
        rev = t.rev + 1,
        hot = hot_rank(t.votes + c.by, p.listed_at),
        xid = pg_current_xact_id()
    from changes c join posts p on p.id = c.post_id
    where t.post_id = c.post_id and c.by <> 0
    returning t.post_id, t.votes, t.replies, t.rev
  )
  select a.ord,
         case
           when a.held then 'held'
           when not a.known then 'no_user'
           when not a.visible or a.blocked then 'no_post'
           when a.up then case when n.user_id is null then 'already' else 'added' end
           else case when r.user_id is null then 'absent' else 'removed' end
         end,
         a.target,
         coalesce(n2.votes, t.votes),
         coalesce(n2.rev, t.rev),
         a.published,
         a.visible and a.blocked,
         coalesce(n2.replies, t.replies)
  from asked a
  left join post_tallies t on t.post_id = a.target
  left join tallied n2 on n2.post_id = a.target
  left join added n on n.user_id = a.voter and n.post_id = a.target
  left join removed r on r.user_id = a.voter and r.post_id = a.target;
end
$$;
