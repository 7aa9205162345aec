-- version 1 sha256:8a61daf68781835c
-- Deletes posts, as a moderator: what `lock_to_delete` has locked. For everyone it is what `delete_posts` does; their
-- rows stay, and their texts, votes and threads are kept apart, where `restore_post` finds them.
create or replace function remove_posts(ids bigint[])
returns table (id bigint, owner_id bigint, root_id bigint, tags text[], told boolean, had_replies boolean,
               thread_topics json)
language plpgsql set search_path from current as $$
#variable_conflict use_column
begin
  insert into removed_posts (post_id, owner_id, title, content, tags, mentions)
  select p.id, p.owner_id, p.title, p.content, coalesce(p.tags, '{}'), coalesce(p.mentions, '[]')
  from posts p where p.id = any (ids) and p.deleted_at is null order by p.id;
  return query select * from delete_posts(ids);
end
$$;
