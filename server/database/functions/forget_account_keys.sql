-- version 1 sha256:a2fca8d22ad5b10b
-- Takes the keys away when an address or a name is changed without them, as by hand: a node makes what is missing.
create or replace function forget_account_keys() returns trigger
language plpgsql as $$
begin
  if new.email is distinct from old.email and new.email_key is not distinct from old.email_key then
    new.email_key := null;
  end if;
  if new.username is distinct from old.username and new.username_key is not distinct from old.username_key then
    new.username_key := null;
  end if;
  return new;
end
$$;
