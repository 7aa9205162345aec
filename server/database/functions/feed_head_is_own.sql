-- version 1 sha256:0c236bc3a43cfc5f
-- Whether a row of the head was written here and not loaded: xmin holds the lower half of the number.
create or replace function feed_head_is_own(written_by xid8, row_xmin xid) returns boolean
language sql immutable parallel safe as $$
  select written_by is not null and row_xmin::text::bigint = (written_by::text::numeric % 4294967296)::bigint
$$;
