-- version 2 sha256:68d525c109bf2c80
-- Appends what a node of the version before inserts into the view `outbox`: always about a post, and for everybody.
create or replace function append_for_version_before() returns trigger
language plpgsql set search_path from current as $$
begin
  insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data, author_id,
                            created_at)
  select new.name, 'post', new.post_id, 'public',
    array_remove(array['feed', 'author:' || (new.data ->> 'owner_id')], null),
    -- A deletion says the post's id alone.
    case when new.data -> 'owner' is null then 'all' else 'previous' end,
    case when new.data -> 'owner' is null then '{}' else '{title,content,owner.username}' end::text[],
    new.data, (new.data ->> 'owner_id')::bigint, coalesce(new.created_at, clock_timestamp());
  return new;
end
$$;
