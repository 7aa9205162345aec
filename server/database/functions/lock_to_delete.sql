-- version 1 sha256:81166eaebb05af01
-- Locks what the deletion of these posts changes, in the order in which everyone locks posts: these, and all that they
-- answer. The first post of a thread stays, so that votes for it and replies to it go on; deleted replies above may go.
create or replace function lock_to_delete(ids bigint[]) returns void
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  post record;
begin
  for post in
    select w.id, bool_or(w.goes) as goes
    from (
      select p.id, true as goes from posts p where p.id = any (ids)
      union all
      select a.id, a.place > 1
      from posts p cross join lateral unnest(p.ancestors) with ordinality as a (id, place)
      where p.id = any (ids)
    ) w
    group by w.id order by w.id
  loop
    if post.goes then
      perform 1 from posts p where p.id = post.id for update;
    else
      perform 1 from posts p where p.id = post.id for no key update;
    end if;
  end loop;
end
$$;
