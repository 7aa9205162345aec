-- version 1 sha256:2a495ba26e478252
-- The one statement that writes to the outbox. Each element is an object with the columns as its members; they are
-- numbered in this order.
create or replace function append_events(events json) returns void
language sql set search_path from current as $$
  insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data)
  select e.name, e.entity_type, e.entity_id, e.audience, e.topics, e.supersedes, e.redaction, e.data
  from rows from (
    json_to_recordset(events) as (name text, entity_type text, entity_id bigint, audience text, topics text[],
                                  supersedes text, redaction text[], data json)
  ) with ordinality as e (name, entity_type, entity_id, audience, topics, supersedes, redaction, data, ord)
  order by e.ord
$$;
