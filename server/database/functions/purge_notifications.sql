-- version 3 sha256:c61444538ffd0291
-- Takes away the next notifications of a thread that is gone and had very many (see `forget_notifications`). Gives back
-- how many it found; 0 if there is no such thread.
create or replace function purge_notifications(most integer) returns integer
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  thread record;
  gone bigint[];
begin
  select r.thread_id, r.up_to_id into thread from notification_removals r
  order by r.thread_id limit 1 for update skip locked;
  if not found then
    return 0;
  end if;
  gone := array(
    select n.id from notifications n
    where n.thread_id = thread.thread_id and n.id <= thread.up_to_id and n.kind <> 'moderation'
    order by n.id limit most);
  perform change_notifications(null, gone);
  if gone = '{}' then
    delete from notification_removals r where r.thread_id = thread.thread_id;
  end if;
  return cardinality(gone);
end
$$;
