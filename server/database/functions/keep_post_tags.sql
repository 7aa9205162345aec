-- version 1 sha256:04da579b0e303e68
-- What finds posts by their tags follows the posts.
create or replace function keep_post_tags() returns trigger
language plpgsql set search_path from current as $$
begin
  if tg_op <> 'INSERT' then
    delete from post_tags g using unnest(old.tags) as t (tag)
    where g.tag = t.tag and g.listed_at = old.listed_at and g.post_id = old.id;
  end if;
  if tg_op <> 'DELETE' then
    insert into post_tags (tag, listed_at, post_id)
    select distinct t.tag, new.listed_at, new.id from unnest(new.tags) as t (tag);
  end if;
  return null;
end
$$;
