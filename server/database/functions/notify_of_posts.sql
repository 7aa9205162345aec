-- version 3 sha256:46d37d0565cbccad
-- Notifies those whom posts answer or mention: one notification for each post and user, and that of the reply where it
-- is both. Nobody is notified of their own posts, or of what others do not see. `readers`, if they are not null, are
-- the users to be notified, and `gone` are notifications that are taken away with it.
create or replace function notify_of_posts(ids bigint[], readers bigint[], gone bigint[]) returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
begin
  perform change_notifications((
    select json_agg(json_build_object('user_id', a.user_id, 'group_key', a.kind || ':' || a.post_id, 'kind', a.kind,
      'actor_id', a.actor_id, 'post_id', a.post_id, 'thread_id', a.thread_id))
    from (
      select distinct on (p.id, w.user_id) p.id as post_id, coalesce(p.root_id, p.id) as thread_id,
        p.owner_id as actor_id, w.user_id, w.kind
      from posts p left join posts r on r.id = p.root_id
      cross join lateral (
        select q.owner_id as user_id, 'reply' as kind, 0 as place
        from posts q where q.id = p.parent_id and q.deleted_at is null
        union all
        select (m ->> 'id')::bigint, 'mention', 1 from jsonb_array_elements(p.mentions) m
      ) w
      where p.id = any (ids) and p.published and coalesce(r.published, true)
        and (readers is null or w.user_id = any (readers))
      order by p.id, w.user_id, w.place
    ) a
    where a.user_id <> a.actor_id
      and not exists (
        select from shown_notifications n where n.post_id = a.post_id and n.user_id = a.user_id and n.kind in ('reply', 'mention'))
  ), gone);
end
$$;
