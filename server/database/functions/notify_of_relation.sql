-- version 2 sha256:144ff7059eaa3d76
-- What a follow, a block or a mute that began or ended does to notifications: see `set_relation`, which has locked both
-- users.
create or replace function notify_of_relation(relation_kind text, actor bigint, target bigint, wanted boolean)
returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  follow_key constant text := 'follow:' || actor;
  voted bigint[];
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
