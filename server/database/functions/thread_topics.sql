-- version 2 sha256:48f87ca39108b793
-- The topics under which the living replies of a thread are told, and its first post is not: what those know of a
-- thread who subscribe to an author or a tag of one of its replies. In pieces of bounded size.
create or replace function thread_topics(thread bigint) returns setof text[]
language sql stable set search_path from current as $$
  select array_agg(t.topic order by t.place)
  from (
    select w.topic, row_number() over (order by w.topic) - 1 as place
    from (
      select 'author:' || p.owner_id as topic from posts p where p.root_id = thread and p.deleted_at is null
      union
      select 'tag:' || t.tag
      from posts p cross join lateral unnest(p.tags) as t (tag)
      where p.root_id = thread and p.deleted_at is null
      except
      select unnest(array_prepend('author:' || r.owner_id, array(select 'tag:' || t.tag from unnest(r.tags) as t (tag))))
      from posts r where r.id = thread
    ) w
  ) t
  group by t.place / 200
$$;
