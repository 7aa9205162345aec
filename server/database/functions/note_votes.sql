-- version 1 sha256:e66923b220cb25bb
-- Notes that the votes of a post have changed, with the vote: `settle_notifications` then tells the post's owner how
-- many people voted. However many votes are cast meanwhile, it is one row.
create or replace function note_votes() returns trigger
language plpgsql set search_path from current as $$
begin
  insert into vote_notices as v (post_id) values (new.post_id)
  on conflict (post_id) do update set pending = true where not v.pending;
  return null;
end
$$;
