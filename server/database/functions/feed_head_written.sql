-- version 1 sha256:68df4cabb918563e
-- Keeps the mark by which a row of the head that was loaded from a dump is known: the transaction that wrote it. It
-- is for updates alone, since COPY inserts.
create or replace function feed_head_written() returns trigger
language plpgsql as $$
begin
  new.written_by := pg_current_xact_id();
  return new;
end
$$;
