-- version 1 sha256:b8aacd923d039ce2
-- Changes the counts of all posts above these replies by one each: replies that were just written, or that are deleted
-- in this transaction. The tallies are locked in the order in which everyone locks them, behind the posts.
create or replace function count_replies(ids bigint[], by integer) returns void
language plpgsql set search_path from current as $$
begin
  perform 1 from post_tallies t
  where t.post_id in (select unnest(p.ancestors) from posts p where p.id = any (ids))
  order by t.post_id for no key update;
  update post_tallies t
  set replies = t.replies + c.replies * by, rev = t.rev + 1, xid = pg_current_xact_id()
  from (
    select a.id, count(*)::integer as replies
    from posts p cross join lateral unnest(p.ancestors) as a (id)
    where p.id = any (ids)
    group by a.id
  ) c
  where t.post_id = c.id;
end
$$;
