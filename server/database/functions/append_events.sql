-- version 2 sha256:296a52a9720440d3
-- The one statement that writes to the outbox. Each element is an object with the columns as its members; they are
-- numbered in this order.
create or replace function append_events(events json) returns void
language sql set search_path from current as $$
  insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data, author_id,
                            container_type, container_id, erases_container, departure, relation)
  select e.name, e.entity_type, e.entity_id, e.audience, e.topics, e.supersedes, e.redaction, e.data, e.author_id,
    e.container_type, e.container_id, coalesce(e.erases_container, false), e.departure, e.relation
  from rows from (
    json_to_recordset(events) as (name text, entity_type text, entity_id bigint, audience text, topics text[],
                                  supersedes text, redaction text[], data json, author_id bigint, container_type text,
                                  container_id bigint, erases_container boolean, departure json, relation json)
  ) with ordinality as e (name, entity_type, entity_id, audience, topics, supersedes, redaction, data, author_id,
                          container_type, container_id, erases_container, departure, relation, ord)
  order by e.ord
$$;
