-- version 4 sha256:2cbaddeffc96a192
-- Brings a post back that a moderator has removed, with the next version: what `lock_to_delete` has locked, behind its
-- owner and those whom it mentions. All posts above it count it again, and those whom it answers or mentions are
-- notified again. `updated_at` stays, since its author has changed nothing, and its tags and mentions are those that it
-- had, even if others have the names now. Gives back whether it was there.
create or replace function restore_post(post bigint, folded text, keys text, fold smallint) returns boolean
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  kept record;
begin
  delete from removed_posts r where r.post_id = post returning r.* into kept;
  if not found then
    return false;
  end if;
  -- Tallies are locked before the states of notifications, which the trigger on updates changes.
  perform 1 from post_tallies t join posts p on p.id = post
  where t.post_id = post or t.post_id = any (p.ancestors) order by t.post_id for no key update of t;
  perform count_replies(array[post], 1);
  update posts p
  set deleted_at = null, published = true, owner_id = kept.owner_id, title = kept.title, content = kept.content,
    tags = kept.tags,
    mentions = coalesce((
      select jsonb_agg(m) from jsonb_array_elements(kept.mentions) m
      where exists (select from users u where u.id = (m ->> 'id')::bigint and u.deleted_at is null)), '[]'),
    version = p.version + 1, parsed_at = clock_timestamp(),
    search_text = folded, search_keys = array_to_tsvector(string_to_array(keys, chr(10))), search_grams = null,
    search_fold = fold
  where p.id = post;
  insert into vote_notices (post_id)
  select t.post_id from post_tallies t where t.post_id = post and t.votes > 0
  on conflict (post_id) do update set pending = true, told_at = '-infinity';
  return true;
end
$$;
