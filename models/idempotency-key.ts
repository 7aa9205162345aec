/** What each `Idempotency-Key` was used for, written in the transaction of the write that it guards. */
export const idempotencyKeyTables = [
  `create table idempotency_keys (
     user_id bigint references users (id) on delete cascade,
     key text,
     -- SHA-256 of the request: the same key with another body is a fault.
     request_hash bytea not null,
     post_id bigint,
     -- The first answer, given again word for word. Null once the post is gone: deleted is gone.
     answer json,
     created_at timestamptz not null default now(),
     primary key (user_id, key)
   )`,
  `create index idempotency_keys_post_id_idx on idempotency_keys (post_id)`,
  `create index idempotency_keys_created_at_idx on idempotency_keys (created_at)`,
];
