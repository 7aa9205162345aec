-- version 4 sha256:73c5fbb76b560cdf
-- The epoch of the log, its head and its floor; a new epoch if the database is not the one that it was
-- (`database_fingerprint`), or if the caller has seen more of the log than there is. An older copy of the database,
-- put back beneath running nodes, may have been written to before one of them looks: then its log is no shorter than
-- what the node has seen, but what stands at that place was written at another time. And if nothing was told since, as
-- with votes, its write-ahead log was further on disk than it is now: a crash takes nothing back that was there.
drop function if exists open_feed(uuid, bigint);

create or replace function open_feed(seen_epoch uuid, seen_seq bigint, seen_at double precision,
                                     seen_wal double precision)
returns table (epoch uuid, seq bigint, floor bigint)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  here text := database_fingerprint();
  head record;
  other boolean := flushed_wal() < seen_wal or exists (
    select from event_log e
    where e.seq = seen_seq and (extract(epoch from e.created_at) * 1000)::double precision <> seen_at
  );
begin
  -- The second look is under the lock: of several nodes that find a restored database one makes the epoch.
  for attempt in 1..2 loop
    if attempt = 1 then
      select h.*, feed_head_is_own(h.written_by, h.xmin) as own into head from feed_head h where h.id = 1;
    else
      select h.*, feed_head_is_own(h.written_by, h.xmin) as own into head from feed_head h where h.id = 1 for no key update;
    end if;
    exit when head.fingerprint = here and head.own
      and not coalesce(head.epoch = seen_epoch and (head.seq < seen_seq or other), false);
    if attempt = 2 then
      update feed_head h
      set fingerprint = here, epoch = case when head.fingerprint = '' then h.epoch else gen_random_uuid() end,
        -- Transaction numbers of another cluster, which mean nothing here, stay in rows that may be millions. Who reads
        -- changed rows passes over those that lie in this one's future, and goes by no horizon of these events.
        foreign_seq = h.seq
      where h.id = 1;
      -- Of the ends of sessions those of all sessions of a user are never to be told here: they would end sessions that
      -- began since. They are few, since they are pruned after two days; those of one session end nothing any more.
      update revocations r set xid = '0'
      where r.xid >= pg_snapshot_xmax(pg_current_snapshot()) and r.session_id is null;
    end if;
  end loop;
  return query select h.epoch, h.seq, h.floor from feed_head h where h.id = 1;
end
$$;

-- What nodes of the version before call.
create or replace function open_feed(seen_epoch uuid, seen_seq bigint, seen_at double precision)
returns table (epoch uuid, seq bigint, floor bigint)
language sql set search_path from current as $$
  select o.epoch, o.seq, o.floor from open_feed(seen_epoch, seen_seq, seen_at, null) o
$$;
