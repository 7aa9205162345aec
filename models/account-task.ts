/** What is still to be done, in pieces, for accounts that were renamed or deleted: see server/users/account-tasks. */
export const accountTaskTables = [
  `create table account_tasks (
     user_id bigint primary key references users (id) on delete cascade,
     kind text not null constraint account_tasks_kind_check check (kind in ('rename', 'delete')),
     -- A renaming has told of the posts from the newest one down to, without, this one.
     before_listed_at timestamptz not null default 'infinity',
     before_post_id bigint not null default 9223372036854775807,
     -- When a node last did a piece of it. One that has rested is taken up by any node.
     worked_at timestamptz not null default clock_timestamp()
   )`,
];
