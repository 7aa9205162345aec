'use strict';

/**
 * Recognises a database that was put back although its rows say nothing of it.
 *
 * The row of the head remembers the transaction that wrote it: a row that was loaded from a dump, as by a data-only restore
 * into the same tables, was written by another. A trigger keeps the mark, so that nodes of the version before keep it too; it
 * fires on updates alone, since COPY inserts.
 *
 * The fingerprint holds when the cluster's oldest file was last changed, where the owner may know it: no copy of the files
 * can keep that time, so a base backup or a cold copy that is simply started differs from the original. A snapshot of the
 * volume does not: positions kept outside the database tell that one (server/log/position-store.ts).
 */
module.exports = {
  async up(queryInterface) {
    const { sequelize } = queryInterface;
    await sequelize.query(`
      alter table feed_head add column written_by xid8;

      create function feed_head_written() returns trigger
      language plpgsql as $$
      begin
        new.written_by := pg_current_xact_id();
        return new;
      end
      $$;
      create trigger feed_head_written before update on feed_head for each row execute function feed_head_written();
    `);

    // In one statement for whoever reads it meanwhile: the fingerprint of before is replaced with its function.
    await sequelize.query(`
      do $do$
      declare
        before text := database_fingerprint();
      begin
        -- As its owner, so that it is the same for every role: two nodes with different rights would take turns in making
        -- new epochs.
        create or replace function database_fingerprint() returns text
        language plpgsql stable security definer set search_path from current as $$
        declare
          cluster text := 'unknown';
          copied text := '';
        begin
          begin
            select c.system_identifier::text into cluster from pg_control_system() c;
          exception when insufficient_privilege then
            null;
          end;
          begin
            select ':' || extract(epoch from f.change)::bigint into copied from pg_stat_file('PG_VERSION') f;
          exception when others then
            copied := '';
          end;
          return concat_ws(':', cluster, left(pg_walfile_name(pg_current_wal_lsn()), 8),
            (select d.oid from pg_database d where d.datname = current_database()), 'feed_head'::regclass::oid)
            || coalesce(copied, '');
        end
        $$;
        update feed_head
        set fingerprint = case when fingerprint = before then database_fingerprint() else fingerprint end;
      end
      $do$;

      create or replace function open_feed(seen_epoch uuid, seen_seq bigint, seen_at double precision)
      returns table (epoch uuid, seq bigint, floor bigint)
      language plpgsql as $$
      #variable_conflict use_column
      declare
        here text := database_fingerprint();
        head record;
        other boolean := exists (
          select from events e
          where e.seq = seen_seq and (extract(epoch from e.created_at) * 1000)::double precision <> seen_at
        );
      begin
        -- The second look is under the lock: of several nodes that find a restored database one makes the epoch.
        for attempt in 1..2 loop
          if attempt = 1 then
            select h.*, feed_head_is_own(h.written_by, h.xmin) as own into head from feed_head h where h.id = 1;
          else
            select h.*, feed_head_is_own(h.written_by, h.xmin) as own into head from feed_head h where h.id = 1 for update;
          end if;
          exit when head.fingerprint = here and head.own
            and not coalesce(head.epoch = seen_epoch and (head.seq < seen_seq or other), false);
          if attempt = 2 then
            update feed_head h
            set fingerprint = here, epoch = case when head.fingerprint = '' then h.epoch else gen_random_uuid() end
            where h.id = 1;
            -- Transaction numbers of another cluster may lie in this one's future.
            update post_tallies t set xid = pg_current_xact_id() where t.xid > pg_current_xact_id();
            update events e set horizon = '0' where e.horizon > pg_current_xact_id();
            update revocations r set xid = pg_current_xact_id() where r.xid > pg_current_xact_id();
          end if;
        end loop;
        return query select h.epoch, h.seq, h.floor from feed_head h where h.id = 1;
      end
      $$;

      -- Whether a row of feed_head was written here and not loaded: xmin holds the lower half of the number.
      create function feed_head_is_own(written_by xid8, row_xmin xid) returns boolean
      language sql immutable parallel safe
      return written_by is not null and row_xmin::text::bigint = (written_by::text::numeric % 4294967296)::bigint;
    `);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      do $do$
      declare
        before text := database_fingerprint();
      begin
        create or replace function database_fingerprint() returns text
        language plpgsql stable security invoker as $$
        declare
          cluster text := 'unknown';
        begin
          begin
            select c.system_identifier::text into cluster from pg_control_system() c;
          exception when insufficient_privilege then
            null;
          end;
          return concat_ws(':', cluster, left(pg_walfile_name(pg_current_wal_lsn()), 8),
            (select d.oid from pg_database d where d.datname = current_database()), 'feed_head'::regclass::oid);
        end
        $$;
        update feed_head
        set fingerprint = case when fingerprint = before then database_fingerprint() else fingerprint end;
      end
      $do$;

      create or replace function open_feed(seen_epoch uuid, seen_seq bigint, seen_at double precision)
      returns table (epoch uuid, seq bigint, floor bigint)
      language plpgsql as $$
      #variable_conflict use_column
      declare
        here text := database_fingerprint();
        head feed_head%rowtype;
        other boolean := exists (
          select from events e
          where e.seq = seen_seq and (extract(epoch from e.created_at) * 1000)::double precision <> seen_at
        );
      begin
        select h.* into head from feed_head h where h.id = 1;
        if head.fingerprint <> here or (head.epoch = seen_epoch and (head.seq < seen_seq or other)) then
          select h.* into head from feed_head h where h.id = 1 for update;
          if head.fingerprint <> here or (head.epoch = seen_epoch and (head.seq < seen_seq or other)) then
            update feed_head h
            set fingerprint = here, epoch = case when head.fingerprint = '' then h.epoch else gen_random_uuid() end
            where h.id = 1;
            update post_tallies t set xid = pg_current_xact_id() where t.xid > pg_current_xact_id();
            update events e set horizon = '0' where e.horizon > pg_current_xact_id();
            update revocations r set xid = pg_current_xact_id() where r.xid > pg_current_xact_id();
          end if;
        end if;
        return query select h.epoch, h.seq, h.floor from feed_head h where h.id = 1;
      end
      $$;
      drop trigger feed_head_written on feed_head;
      drop function feed_head_written();
      drop function feed_head_is_own(xid8, xid);
      alter table feed_head drop column written_by;
    `);
  },
};
