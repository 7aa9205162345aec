/** Who follows, blocks and mutes whom. SQL functions write it: models would not be used. */
export const relationTables = [
  // What one user wants of another: lists, blocks and mutes go by it from the commit on.
  `create table relations (
     user_id bigint references users (id) on delete cascade,
     kind text,
     target_id bigint references users (id) on delete cascade,
     created_at timestamptz not null default now(),
     primary key (user_id, kind, target_id),
     constraint relations_kind_check check (kind in ('follow', 'block', 'mute')),
     constraint relations_self_check check (user_id <> target_id)
   )`,
  `create index relations_target_idx on relations (target_id, kind, user_id)`,
  `create index relations_listed_idx on relations (user_id, kind, created_at desc, target_id desc)`,
  `create index relations_target_listed_idx on relations (target_id, kind, created_at desc, user_id desc)`,
  // The same as the stream of events has it, since which number; and who moderates ('moderate': then it is its own target).
  // Written by the numbering alone, so that no request that holds a row holds up the numbering; it refers to no user for
  // the same reason.
  `create table stream_relations (
     user_id bigint,
     kind text,
     target_id bigint,
     -- The event that added it.
     since_seq bigint not null,
     primary key (user_id, kind, target_id)
   )`,
  `create index stream_relations_target_idx on stream_relations (target_id, kind, user_id)`,
];
