/** Users' likes on posts. The primary key makes it one per user and post. */
export const voteTables = [
  `create table votes (
     user_id bigint references users (id) on delete cascade,
     post_id bigint references posts (id) on delete cascade,
     created_at timestamptz not null default now(),
     primary key (user_id, post_id)
   )`,
  `create index votes_post_id_idx on votes (post_id)`,
];
