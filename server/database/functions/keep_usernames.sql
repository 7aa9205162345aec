-- version 1 sha256:14ddf537df45fb04
-- A username that its owner gives up, by another name or with the account, is nobody else's for ninety days. Its
-- former owner may take it back, unless the account is gone. A kept one is refused as the unique index refuses one
-- that is taken. It runs after the row is written: a transaction that waited in the index for the one that gave the
-- name up sees by then that it is kept. What is kept is a hash: a deleted account's name is in no row.
create or replace function keep_usernames() returns trigger
language plpgsql set search_path from current as $$
declare
  old_key bytea;
  new_key bytea;
begin
  -- Of two accounts that had one name before names were compared as they are now, the older one has it. A deleted account
  -- has none.
  if tg_op <> 'INSERT' and old.username_key is null and old.deleted_at is null then
    old_key := sha256(convert_to(lower(old.username collate "C"), 'UTF8'));
  end if;
  if tg_op <> 'DELETE' and new.deleted_at is null then
    new_key := sha256(convert_to(lower(new.username collate "C"), 'UTF8'));
  end if;
  if new_key is distinct from old_key then
    if new_key is not null then
      delete from kept_usernames
      where name_hash = new_key and (kept_until <= now() or former_owner_id = new.id);
      if exists (select from kept_usernames where name_hash = new_key) then
        raise unique_violation using message = 'the username is kept', constraint = 'users_username_key';
      end if;
    end if;
    if old_key is not null then
      insert into kept_usernames (name_hash, former_owner_id, kept_until)
      values (old_key, case when new_key is not null then old.id end, now() + interval '90 days')
      on conflict (name_hash) do update
      set former_owner_id = excluded.former_owner_id, kept_until = excluded.kept_until;
    end if;
  end if;
  if tg_op = 'UPDATE' and new.deleted_at is not null then
    update kept_usernames set former_owner_id = null where former_owner_id = new.id;
  end if;
  return null;
end
$$;
