/** Usernames that were given up and are nobody else's yet. A trigger on `users` writes them. */
export const keptUsernameTables = [
  `create table kept_usernames (
     -- SHA-256 of the name in small letters.
     name_hash bytea primary key,
     -- Who may take it back; null once the account is gone.
     former_owner_id bigint references users (id) on delete set null,
     kept_until timestamptz not null
   )`,
  `create index kept_usernames_former_owner_id_idx on kept_usernames (former_owner_id)`,
  `create index kept_usernames_kept_until_idx on kept_usernames (kept_until)`,
];
