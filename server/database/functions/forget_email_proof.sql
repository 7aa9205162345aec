-- version 3 sha256:a915202860c23204
-- Takes the proof of an address away, and the change that waits for one, when an address is replaced without them, as by
-- a node that knows neither. Another case of ASCII letters makes no other address; of other spellings a node of this
-- version says itself that they stay proved. With an account that is deleted, the links go that put its addresses back.
create or replace function forget_email_proof() returns trigger
language plpgsql set search_path from current as $$
begin
  if new.email is distinct from old.email
    and lower(new.email collate "C") is distinct from lower(old.email collate "C") then
    if new.email_verified_at is not distinct from old.email_verified_at then
      new.email_verified_at := null;
    end if;
    if new.pending_email is not distinct from old.pending_email then
      new.pending_email := null;
    end if;
  end if;
  if new.deleted_at is not null and old.deleted_at is null then
    delete from email_undos e where e.user_id = new.id;
  end if;
  return new;
end
$$;
