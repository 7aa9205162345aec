/**
 * The secrets of authenticator apps, encrypted, and what stands in for a lost one, hashed. A secret asks for codes once one
 * of them has confirmed it. `last_step` is the newest 30 seconds whose code was used: no older code is taken any more.
 */
export const totpTables = [
  `create table totp_secrets (
     user_id bigint primary key references users (id) on delete cascade,
     secret bytea not null,
     confirmed_at timestamptz,
     last_step bigint not null default 0
   )`,
  `create table recovery_codes (
     user_id bigint not null references users (id) on delete cascade,
     hash bytea not null,
     primary key (user_id, hash)
   )`,
];
