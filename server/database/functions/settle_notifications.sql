-- version 1 sha256:f19cd683bb23d982
-- Brings the next notifications of votes up to date. Gives back how many it found; 0 if nothing is due.
--
-- Owners are told of the first vote for a post at once, then every few seconds at most. A post that somebody has locked
-- is left for the next call, so this waits for no vote.
create or replace function settle_notifications(most integer) returns integer
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  apart constant interval := '5 seconds';
  due bigint[] := array(
    select v.post_id from vote_notices v where v.pending and v.told_at < clock_timestamp() - apart
    order by v.told_at limit most);
begin
  if due <> '{}' then
    delete from vote_notices v
    where v.post_id = any (due) and not exists (select from post_tallies t where t.post_id = v.post_id);
    perform tell_votes(lock_votes(due, false));
  end if;
  return cardinality(due);
end
$$;
