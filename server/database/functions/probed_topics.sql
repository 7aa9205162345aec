-- version 3 sha256:512fa69229b20320
-- The topics by which an event is found in `event_topics`: private audiences, threads and tags, also those that it
-- leaves. Not `feed`, which the whole log is, and of authors only those of replies that go with their thread: the log
-- has the event's own in a column.
create or replace function probed_topics(audience text, topics text[], departure json) returns setof text
language sql immutable parallel safe as $$
  select audience where audience <> 'public'
  union
  select t.topic from unnest(topics) as t (topic) where t.topic like 'thread:%' or t.topic like 'tag:%'
  union
  select l.topic from json_array_elements_text(departure -> 'topics') as l (topic)
  where l.topic like 'thread:%' or l.topic like 'tag:%' or l.topic like 'author:%'
$$;
