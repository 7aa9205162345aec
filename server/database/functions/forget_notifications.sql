-- version 5 sha256:357c43dbff5a4f81
-- Takes away the notifications of posts that nobody sees any more, and those of whole threads with their first posts:
-- not what moderators told, such as why a post is gone.
-- Of a thread with very many, `purge_notifications` takes them away in pieces, and no list shows them meanwhile. Later
-- ones have higher ids, since the first post is locked: also those that would renew one of these, which goes then
-- (`forget_hidden_notifications`).
create or replace function forget_notifications(ids bigint[]) returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  many constant integer := 1000;
  gone bigint[] := array(
    select n.id from unnest(ids) as t (id) cross join lateral (
      select n.id from notifications n
      where n.thread_id = t.id and n.kind <> 'moderation' order by n.id limit many + 1
    ) n limit many + 1);
begin
  if cardinality(gone) > many then
    gone := '{}';
    insert into notification_removals as r (thread_id, up_to_id)
    select t.id, n.id from unnest(ids) as t (id) cross join lateral (
      select n.id from notifications n
      where n.thread_id = t.id and n.kind <> 'moderation' order by n.id desc limit 1
    ) n
    order by t.id
    on conflict (thread_id) do update set up_to_id = excluded.up_to_id;
  end if;
  perform change_notifications(null, gone || array(
    select n.id from notifications n
    where n.post_id = any (ids) and n.kind <> 'moderation' and n.id <> all (gone)));
end
$$;
