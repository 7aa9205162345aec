-- version 1 sha256:907c633d732498c6
-- Deletes for good what moderators have removed: what `lock_to_delete` has locked. A post with a thread or with many
-- votes goes in pieces (`purge_thread`).
create or replace function forget_removed_posts(ids bigint[]) returns void
language plpgsql set search_path from current as $$
begin
  delete from removed_posts r where r.post_id = any (ids);
  perform delete_posts(ids);
end
$$;
