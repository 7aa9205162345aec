/**
 * API keys: each is a session whose user shows a key in place of access tokens. The key itself is stored nowhere: `hash`
 * is its SHA-256.
 */
export const apiKeyTables = [
  `create table api_keys (
     session_id uuid primary key references sessions (id) on delete cascade,
     hash bytea not null,
     name text not null,
     scopes text[] not null
   )`,
  `create unique index api_keys_hash_key on api_keys (hash)`,
];
