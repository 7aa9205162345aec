-- version 5 sha256:e02e24e6d3e40313
-- Takes away the next piece of a deleted post with its thread or its many votes: so many votes, or replies from the
-- newest on. Replies have higher ids than what they answer, so none goes before those below it. Nobody sees any of
-- them, and no count of theirs is told (the setting: see `delete_posts`). Gives back how many rows it took; 0 if there
-- is nothing left to take.
create or replace function purge_thread(most integer) returns integer
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  thread bigint;
  gone bigint[];
  taken integer;
begin
  select p.id into thread from posts p
  where p.parent_id is null and p.deleted_at is not null
    and not exists (select from removed_posts k where k.post_id = p.id)
  order by p.id limit 1 for update skip locked;
  if thread is null then
    return 0;
  end if;
  gone := array(select p.id from posts p where p.root_id = thread order by p.id desc limit greatest(most / 4, 1));
  if gone = '{}' then
    gone := array[thread];
  end if;
  perform 1 from posts p where p.id = any (gone) order by p.id for update;
  delete from votes v where v.ctid in (select w.ctid from votes w where w.post_id = any (gone) limit most);
  get diagnostics taken = row_count;
  if taken = most then
    return taken;
  end if;
  update idempotency_keys k set answer = null where k.post_id = any (gone);
  perform set_config('tidings.deletes_posts', 'on', true);
  delete from posts p where p.id = any (gone);
  perform set_config('tidings.deletes_posts', 'off', true);
  return taken + cardinality(gone);
end
$$;
