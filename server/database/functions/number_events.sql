-- version 3 sha256:dd1e1e51eb624e55
-- Moves events from the outbox to the log and numbers them. The algorithm and its proof are told in
-- server/log/sequencer.ts, above the code that calls this. What it numbered it gives back, if that is little text,
-- so that the node that numbers need not read it again.
--
-- By whatever plan is right for many rows. The outbox is empty whenever PostgreSQL analyses it, so a plan was made
-- for one row, and with 100,000 waiting each batch compared all of them with all of its own: 117 s, and 2 s by the
-- primary key. Each call looks at a bounded number of entities and of events whose text is still to be cut; what
-- remains stands in `event_redactions`.
drop function if exists number_events(integer, integer);

create or replace function number_events(at_most integer, at_most_bytes integer)
returns table (first_seq bigint, last_seq bigint, seq bigint, name text, entity_type text, entity_id bigint,
               audience text, topics text[], redaction text[], payload text, at double precision, author_id bigint,
               container_type text, container_id bigint, erases_container boolean, departure json, relation json)
language plpgsql set enable_seqscan = off set search_path from current as $$
#variable_conflict use_column
declare
  most_entities constant integer := 500;
  most_redacted constant integer := 500;
  most_told constant integer := 50;
  head bigint;
  taken bigint;
  due_types text[];
  due_ids bigint[];
begin
  -- Nothing to do, as most times that a node looks: the lock alone would use up a transaction number and write to disk.
  if not exists (select from event_outbox) and not exists (select from event_redactions) then
    return;
  end if;
  select h.seq into head from feed_head h where h.id = 1 for no key update skip locked;
  if not found then
    -- Somebody is at it.
    return query select null::bigint, null::bigint, null::bigint, null::text, null::text, null::bigint, null::text,
      null::text[], null::text[], null::text, null::double precision, null::bigint, null::text, null::bigint,
      null::boolean, null::json, null::json;
    return;
  end if;

  -- One statement, one snapshot: what commits meanwhile with a lower id is not among the rows up to the last of these.
  with moved as (
    delete from event_outbox o
    where o.id <= (
      select max(next.id) from (select w.id from event_outbox w order by w.id limit at_most) next
    )
    returning o.id, o.name, o.entity_type, o.entity_id, o.audience, o.topics, o.supersedes, o.redaction, o.data,
      o.created_at, o.author_id, o.container_type, o.container_id, o.erases_container, o.departure, o.relation
  ), numbered as (
    insert into event_log
      (seq, outbox_id, name, entity_type, entity_id, audience, topics, redaction, data, created_at, author_id,
       container_type, container_id, erases_container, departure, relation)
    select head + row_number() over (order by m.id), m.id, m.name, m.entity_type, m.entity_id, m.audience, m.topics,
      m.redaction, m.data, m.created_at, m.author_id, m.container_type, m.container_id, m.erases_container,
      m.departure, m.relation
    from moved m
    returning seq, audience, topics, departure
  ), found_by as (
    insert into event_topics (topic, seq)
    select t.topic, n.seq from numbered n, probed_topics(n.audience, n.topics, n.departure) as t (topic)
  ), told as (
    select p.entity_type, p.entity_id, head + min(p.place) as first_seq, head + max(p.place) as last_seq,
      (array_agg(p.supersedes order by p.place))[1] as first_supersedes, bool_or(p.supersedes = 'all') as erases
    from (
      select m.entity_type, m.entity_id, m.supersedes, row_number() over (order by m.id) as place from moved m
    ) p
    group by p.entity_type, p.entity_id
  ), superseding as (
    insert into event_redactions as r (entity_type, entity_id, next_seq, before_seq)
    select t.entity_type, t.entity_id, t.from_seq, t.last_seq
    from (
      select t.entity_type, t.entity_id, t.last_seq,
        case when t.erases then 0 else coalesce(before.seq, t.first_seq) end as from_seq
      from told t left join lateral (
        select e.seq from event_log e
        where e.entity_type = t.entity_type and e.entity_id = t.entity_id and t.first_supersedes <> 'nothing'
        order by e.seq desc limit 1
      ) before on true
    ) t
    where t.from_seq < t.last_seq
    union all
    select c.container_type, c.container_id, 0, max(c.seq)
    from (
      select m.container_type, m.container_id, m.erases_container, head + row_number() over (order by m.id) as seq
      from moved m
    ) c
    where c.erases_container
    group by c.container_type, c.container_id
    on conflict (entity_type, entity_id) do update
    set next_seq = least(r.next_seq, excluded.next_seq), before_seq = excluded.before_seq
  )
  select count(*) into taken from numbered;
  if taken > 0 then
    update feed_head set seq = head + taken where id = 1;
    -- The last of a relation decides. No request writes to this table, so nothing is waited for.
    with changed as (
      select distinct on (1, 2, 3) (e.relation ->> 'user_id')::bigint as user_id, e.relation ->> 'kind' as kind,
        (e.relation ->> 'target_id')::bigint as target_id, (e.relation ->> 'added')::boolean as added, e.seq
      from event_log e
      where e.seq > head and e.seq <= head + taken and e.relation is not null
      order by 1, 2, 3, e.seq desc
    ), removed as (
      delete from stream_relations r using changed c
      where not c.added and r.user_id = c.user_id and r.kind = c.kind and r.target_id = c.target_id
    )
    insert into stream_relations as r (user_id, kind, target_id, since_seq)
    select c.user_id, c.kind, c.target_id, c.seq from changed c where c.added
    on conflict (user_id, kind, target_id) do update set since_seq = excluded.since_seq;
  end if;

  select array_agg(r.entity_type), array_agg(r.entity_id) into due_types, due_ids
  from (
    select w.entity_type, w.entity_id from event_redactions w
    order by w.entity_type, w.entity_id limit most_entities
  ) r;
  if due_ids is not null then
    with due as (
      select r.entity_type, r.entity_id, e.seq
      from unnest(due_types, due_ids) as d (entity_type, entity_id)
      join event_redactions r on r.entity_type = d.entity_type and r.entity_id = d.entity_id
      cross join lateral (
        (
          select w.seq from event_log w
          where w.entity_type = r.entity_type and w.entity_id = r.entity_id
            and w.seq >= r.next_seq and w.seq < r.before_seq
          order by w.seq limit most_redacted
        )
        union all
        (
          select w.seq from event_log w
          where w.container_type = r.entity_type and w.container_id = r.entity_id
            and w.seq >= r.next_seq and w.seq < r.before_seq
          order by w.seq limit most_redacted
        )
      ) e
      limit most_redacted
    ), cut as (
      update event_log e set data = redacted(e.data, e.redaction)
      from due where e.seq = due.seq and e.redaction <> '{}' and e.data -> 'redacted' is null
    )
    update event_redactions r set next_seq = reached.seq + 1
    from (
      select due.entity_type, due.entity_id, max(due.seq) as seq from due group by due.entity_type, due.entity_id
    ) reached
    where r.entity_type = reached.entity_type and r.entity_id = reached.entity_id;
    delete from event_redactions r using unnest(due_types, due_ids) as d (entity_type, entity_id)
    where r.entity_type = d.entity_type and r.entity_id = d.entity_id and not exists (
      select from event_log e
      where e.entity_type = r.entity_type and e.entity_id = r.entity_id
        and e.seq >= r.next_seq and e.seq < r.before_seq
    ) and not exists (
      select from event_log e
      where e.container_type = r.entity_type and e.container_id = r.entity_id
        and e.seq >= r.next_seq and e.seq < r.before_seq
    );
  end if;

  if taken = 0 then
    return;
  end if;
  if taken <= most_told and at_most_bytes >= (
    select sum(octet_length(e.data::text)) from event_log e where e.seq > head and e.seq <= head + taken
  ) then
    return query
    select head + 1, head + taken, e.seq, e.name, e.entity_type, e.entity_id, e.audience, e.topics, e.redaction,
      (case when r.entity_id is null and c.entity_id is null then e.data else redacted(e.data, e.redaction) end)::text,
      (extract(epoch from e.created_at) * 1000)::double precision, e.author_id, e.container_type, e.container_id,
      e.erases_container, e.departure, e.relation
    from event_log e
    left join event_redactions r
      on r.entity_type = e.entity_type and r.entity_id = e.entity_id and e.seq < r.before_seq
    left join event_redactions c
      on c.entity_type = e.container_type and c.entity_id = e.container_id and e.seq < c.before_seq
    where e.seq > head and e.seq <= head + taken order by e.seq;
  else
    return query select head + 1, head + taken, null::bigint, null::text, null::text, null::bigint, null::text,
      null::text[], null::text[], null::text, null::double precision, null::bigint, null::text, null::bigint,
      null::boolean, null::json, null::json;
  end if;
end
$$;

-- What nodes of the version before call.
create or replace function number_events(at_most integer)
returns table (first_seq bigint, last_seq bigint)
language sql set search_path from current as $$
  select distinct n.first_seq, n.last_seq from number_events(at_most, 0) n
$$;
