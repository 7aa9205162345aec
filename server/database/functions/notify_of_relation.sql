-- version 3 sha256:ee572586b1430fcb
-- What a follow, a block or a mute that began or ended does to notifications: see `set_relation`, which has locked both
-- users.
create or replace function notify_of_relation(relation_kind text, actor bigint, target bigint, wanted boolean)
returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  follow_key constant text := 'follow:' || actor;
  voted bigint[];
  late bigint[];
begin
  if relation_kind = 'follow' then
    if not wanted then
      perform change_notifications(null, array(
        select n.id from notifications n where n.user_id = target and n.group_key = follow_key));
    else
      insert into follow_notices as f (user_id, actor_id) values (target, actor)
      on conflict (user_id, actor_id) do update set told_at = now() where f.told_at < now() - interval '1 day';
      if found then
        perform change_notifications(json_build_array(json_build_object('user_id', target, 'group_key', follow_key,
          'kind', 'follow', 'actor_id', actor)), '{}');
      end if;
    end if;
    return;
  end if;

  -- With those that are about to be told: that is waited for, or waits.
  voted := lock_votes(array(
    select o.post_id
    from (
      select n.post_id, n.user_id from shown_notifications n
      where n.kind = 'votes' and (n.user_id = actor or relation_kind = 'block' and n.user_id = target)
      union
      select v.post_id, p.owner_id from vote_notices v join posts p on p.id = v.post_id
      where v.pending and (p.owner_id = actor or relation_kind = 'block' and p.owner_id = target)
    ) o
    join votes w on w.post_id = o.post_id and w.user_id = case o.user_id when actor then target else actor end
  ), true);
  perform lock_notifications(case relation_kind when 'block' then array[actor, target] else array[actor] end);
  -- Votes that were told while this waited, without the change: nothing is told of them behind the lock on states. Tallies
  -- are locked before states, so none is waited for here: one that somebody has locked is told later.
  late := array(
    select n.post_id from shown_notifications n
    join votes w on w.post_id = n.post_id and w.user_id = case n.user_id when actor then target else actor end
    where n.kind = 'votes' and (n.user_id = actor or relation_kind = 'block' and n.user_id = target)
      and n.post_id <> all (voted));
  if late <> '{}' then
    voted := voted || lock_votes(late, false);
    insert into vote_notices as v (post_id)
    select l.id from unnest(late) as l (id) where l.id <> all (voted) order by l.id
    on conflict (post_id) do update set pending = true where not v.pending;
  end if;
  if wanted then
    perform change_notifications(null, array(
      select n.id from notifications n
      where (n.user_id = actor and n.actor_id = target)
        or (relation_kind = 'block' and n.user_id = target and n.actor_id = actor)));
  end if;
  if voted <> '{}' then
    perform tell_votes(voted);
  end if;
end
$$;
