-- version 1 sha256:13abfd6cb10d32f7
-- A new password ends the link to one that was mailed before it, also where a node of an earlier version sets it, which
-- knows of no links.
create or replace function end_reset_of_changed_password() returns trigger
language plpgsql set search_path from current as $$
begin
  delete from mailed_tokens t where t.user_id = new.id and t.purpose = 'reset';
  return null;
end
$$;
