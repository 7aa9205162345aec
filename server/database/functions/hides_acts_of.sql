-- version 1 sha256:d55b0430acb6fb94
-- Whether a user is notified of nothing that another one does: they mute the other, or one of the two blocks the other.
create or replace function hides_acts_of(reader bigint, actor bigint) returns boolean
language sql stable set search_path from current as $$
  select exists (
    select from relations h where h.user_id = reader and h.target_id = actor and h.kind in ('block', 'mute')
  ) or exists (
    select from relations h where h.user_id = actor and h.target_id = reader and h.kind = 'block'
  )
$$;
