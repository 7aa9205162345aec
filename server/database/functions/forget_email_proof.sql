-- version 2 sha256:7f8f1ef944533478
-- Takes the proof of an address away, and the change that waits for one, when an address is replaced without them, as by
-- a node that knows neither. Another spelling of the same address is no other address. It runs after
-- users_forget_account_keys, by its name.
create or replace function forget_email_proof() returns trigger
language plpgsql as $$
begin
  if new.email is distinct from old.email
    and coalesce(new.email_key, lower(new.email collate "C"))
      is distinct from coalesce(old.email_key, lower(old.email collate "C")) then
    if new.email_verified_at is not distinct from old.email_verified_at then
      new.email_verified_at := null;
    end if;
    if new.pending_email is not distinct from old.pending_email then
      new.pending_email := null;
    end if;
  end if;
  return new;
end
$$;
