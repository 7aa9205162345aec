-- version 3 sha256:4fc74d8903191ae2
-- Takes away the next notifications of an account that is being deleted: those that it has caused, of which the others
-- are told, then those that it has. Gives back how many it took away; fewer than `most` if none is left.
create or replace function forget_notifications_of(account bigint, most integer) returns integer
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  gone bigint[] := array(select n.id from notifications n where n.actor_id = account order by n.id limit most);
  own integer := 0;
begin
  -- Its own with the others', by id: moderators who notify both lock them so.
  perform lock_notifications(array[account] || array(
    select n.user_id from notifications n where n.id = any (gone)));
  perform change_notifications(null, gone);
  if cardinality(gone) < most then
    delete from notifications n
    where n.id in (select o.id from notifications o where o.user_id = account limit most - cardinality(gone));
    get diagnostics own = row_count;
    if cardinality(gone) + own < most then
      -- Under this lock moderators notify, who wait for no account: the last of them are seen behind it.
      delete from notification_states s where s.user_id = account;
      delete from notifications n where n.user_id = account;
    end if;
  end if;
  return cardinality(gone) + own;
end
$$;
