-- version 3 sha256:21f339bf0d23ddd9
-- Completes what a node of the version before tells of a post: whose words it carries, of which thread and with which
-- tags, and with what it goes away. What it tells of a reply that nobody sees is left out, and so is a deletion that
-- `delete_post_of_version_before` has dealt with. An event of a post that is gone stays as it is.
create or replace function complete_event_of_version_before() returns trigger
language plpgsql set search_path from current as $$
declare
  post record;
  departures json[];
begin
  if new.supersedes = 'all'
    and new.entity_id::text = any (string_to_array(current_setting('tidings.deleted_posts', true), ',')) then
    return null;
  end if;
  select p.owner_id, p.parent_id, p.root_id, coalesce(p.tags, '{}') as tags, coalesce(p.mentions, '[]') as mentions,
    coalesce(t.replies, 0) as replies, coalesce(r.published, true) as is_public,
    p.root_id is null and exists (select from posts c where c.root_id = p.id) as has_thread
  into post
  from posts p left join posts r on r.id = p.root_id left join post_tallies t on t.post_id = p.id
  where p.id = new.entity_id;
  if not found then
    return new;
  elsif not post.is_public then
    return null;
  end if;

  new.author_id := post.owner_id;
  new.topics := case when post.root_id is null then '{feed}' else '{}' end::text[]
    || ('author:' || post.owner_id) || ('thread:' || coalesce(post.root_id, new.entity_id))
    || array(select 'tag:' || t.tag from unnest(post.tags) as t (tag));
  if post.root_id is not null or new.supersedes = 'all' and post.has_thread then
    new.container_type := 'thread';
    new.container_id := coalesce(post.root_id, new.entity_id);
    new.erases_container := post.root_id is null;
  end if;
  if new.supersedes = 'all' then
    new.data := json_build_object('id', new.entity_id, 'root_id', post.root_id);
    if post.root_id is null then
      departures := array(
        select json_build_object('topics', t.topics, 'name', new.name, 'data', new.data)
        from thread_topics(new.entity_id) as t (topics));
      if cardinality(departures) = 1 then
        new.departure := departures[1];
      else
        perform append_events((
          select json_agg(json_build_object('name', new.name, 'entity_type', 'post', 'entity_id', new.entity_id,
            'audience', 'public', 'topics', '{}'::text[], 'supersedes', 'all', 'redaction', '{}'::text[], 'data', new.data,
            'container_type', 'thread', 'container_id', new.entity_id, 'erases_container', true, 'departure', d.departure))
          from unnest(departures) as d (departure)));
      end if;
    end if;
  else
    new.data := (new.data::jsonb || jsonb_build_object('parent_id', post.parent_id, 'root_id', post.root_id,
      'tags', post.tags, 'mentions', post.mentions, 'replies', post.replies))::json;
    new.redaction := new.redaction || '{tags,mentions}';
  end if;
  return new;
end
$$;
