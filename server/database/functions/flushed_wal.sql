-- version 2 sha256:595def19c503f61b
-- How far the write-ahead log of this server is on disk, in bytes from its beginning; null on a standby. It only grows:
-- an older copy of the files that is started is behind, also where the log of events is as long as it was.
create or replace function flushed_wal() returns double precision
language sql stable as $$
  select case when not pg_is_in_recovery() then (pg_current_wal_flush_lsn() - '0/0')::double precision end
$$;
