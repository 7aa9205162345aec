-- version 8 sha256:e41b9fe34adbd0a5
-- Deletes posts that `lock_to_delete` has locked, and gives back which: `told` are those that everyone could see, and
-- `thread_topics` is a list of what `thread_topics` gives of each that takes a thread along.
--
-- A reply with replies below it stays, without its text and its owner, and so does a post with a thread or with many
-- votes: its thread is taken away in pieces (`purge_thread`), and nobody sees it any more. All others go. A deleted
-- reply whose last reply goes, goes too, unless a moderator has removed it (`remove_posts`). All posts above a reply
-- count it no longer, and notifications of what goes end.
-- The setting tells the trigger on deletions that this is not a node of the version before; a role that is no superuser
-- may not set it for the function.
drop function if exists delete_posts(bigint[]);

create or replace function delete_posts(ids bigint[])
returns table (id bigint, owner_id bigint, root_id bigint, tags text[], told boolean, had_replies boolean,
               thread_topics json)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  many_votes constant integer := 2000;
  above constant bigint[] := array(
    select distinct a.id from posts p cross join lateral unnest(p.ancestors) as a (id) where p.id = any (ids));
begin
  perform 1 from post_tallies t where t.post_id = any (ids || above) order by t.post_id for update;
  update idempotency_keys k set answer = null where k.post_id = any (ids);
  return query
  select p.id, p.owner_id, p.root_id, coalesce(p.tags, '{}'),
    p.published and (p.root_id is null or exists (
      select from posts r where r.id = p.root_id and r.published and r.id <> all (ids))),
    p.root_id is null and exists (select from posts c where c.root_id = p.id),
    (select json_agg(t.topics) from thread_topics(p.id) as t (topics))
  from posts p where p.id = any (ids) and p.deleted_at is null order by p.id;

  perform count_replies(
    array(select p.id from posts p where p.id = any (ids) and p.root_id is not null and p.deleted_at is null), -1);
  update posts p
  set deleted_at = clock_timestamp(), published = false, owner_id = null, title = null, content = '', tags = '{}',
    mentions = '[]', search_text = '', search_keys = null, search_grams = null
  where p.id = any (ids) and p.deleted_at is null and (
    exists (select from posts c where c.parent_id = p.id)
    or exists (select from removed_posts k where k.post_id = p.id)
    or p.root_id is null and exists (select from post_tallies t where t.post_id = p.id and t.votes > many_votes)
  );
  perform forget_notifications(ids);
  perform set_config('tidings.deletes_posts', 'on', true);
  loop
    delete from posts p
    where p.id = any (ids || above) and not exists (select from posts c where c.parent_id = p.id)
      and not exists (select from removed_posts k where k.post_id = p.id)
      and case when p.deleted_at is null then p.id = any (ids) else p.root_id is not null end;
    exit when not found;
  end loop;
  perform set_config('tidings.deletes_posts', 'off', true);
end
$$;
