-- version 1 sha256:bdb7d0bbffdb560c
-- What tells databases apart. A cluster has an identifier, each promotion or point-in-time recovery a new timeline, a
-- database and a table each an oid: a dump restored anywhere, a copied database and a promoted replica all differ
-- from the original. So do a base backup and a cold copy that are simply started: no copy of the files can keep the
-- time at which the cluster's oldest file was last changed, where the owner may know it.
--
-- As its owner, so that it is the same for every role: two nodes with different rights would take turns in making new
-- epochs. A change of what it returns must replace `feed_head.fingerprint` in the same transaction, or every client
-- is told `reset`.
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
