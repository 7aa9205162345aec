-- version 1 sha256:9d5b1d38149a7883
-- Deletes a post that a node of the version before, or somebody by hand, deletes by a plain statement, as `delete_posts`
-- does: with its replies, with the counts of what it answers, and told. What that node tells of it afterwards is left
-- out (`complete_event_of_version_before`). It has locked the post already, so those above it are locked out of order:
-- a deadlock with another deletion in the same thread is possible, after which nodes try again.
create or replace function delete_post_of_version_before() returns trigger
language plpgsql set search_path from current as $$
begin
  perform lock_to_delete(array[old.id]);
  if old.published then
    perform append_events(json_build_array(json_build_object('name', 'post:deleted', 'entity_type', 'post',
      'entity_id', old.id, 'audience', 'public', 'topics', '{}'::text[], 'supersedes', 'all', 'redaction', '{}'::text[],
      'data', json_build_object('id', old.id))));
  end if;
  perform set_config('tidings.deleted_posts',
    concat_ws(',', nullif(current_setting('tidings.deleted_posts', true), ''), old.id), true);
  perform delete_posts(array[old.id]);
  return null;
end
$$;
