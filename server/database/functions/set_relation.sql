-- version 3 sha256:1c50041551e6f329
-- Makes one user follow, block or mute another, or ends that, with its events: one statement, so that a process which
-- stops in between holds no row. Repeating it changes nothing and tells nothing.
--
-- The rows of both users are locked by id, as everywhere. A block locks them against those who vote, post or follow as
-- one of the two: what such a writer asks after it has locked its own user sees every block that was committed before.
-- So a write that a block forbids is either committed before the block or refused. A block ends follows both ways.
--
-- `told` and `ended` are events as JSON, with stand-ins for the names of actor and target, which are read under the
-- locks: those of the change itself, the last of which carries the relation, and those of the end of the actor's follow
-- and of the target's, for a block.
--
-- A follow notifies the target, once a day at most, and takes the notification away when it ends. A block takes away
-- what the two were notified of each other, a mute what the actor was of the target; how many people voted is counted
-- again without them.
--
-- Gives back the outcome, the outbox id of the event that carries the relation if it waits for its number, since when
-- the stream goes by what stands if not, and what the actor is to the target now.
create or replace function set_relation(relation_kind text, actor bigint, target bigint, wanted boolean, at_most bigint,
                                        told text, ended text[], stand_ins text[])
returns table (outcome text, outbox_id bigint, seq bigint, followed boolean, blocked boolean, muted boolean)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
  each bigint;
  actor_name text;
  target_name text;
  changed boolean;
  events text[];
  pending bigint;
begin
  foreach each in array array[least(actor, target), greatest(actor, target)] loop
    if relation_kind = 'block' and wanted then
      perform 1 from users u where u.id = each for update;
    elsif each = actor then
      perform 1 from users u where u.id = each for no key update;
    else
      perform 1 from users u where u.id = each for key share;
    end if;
  end loop;
  select u.username into actor_name from users u where u.id = actor and u.deleted_at is null;
  select u.username into target_name from users u where u.id = target and u.deleted_at is null;
  if actor_name is null or target_name is null then
    return query select case when actor_name is null then 'no_actor' else 'no_target' end, null::bigint, null::bigint,
      null::boolean, null::boolean, null::boolean;
    return;
  end if;

  if not wanted then
    delete from relations r where r.user_id = actor and r.kind = relation_kind and r.target_id = target;
    changed := found;
  elsif exists (select from relations r where r.user_id = actor and r.kind = relation_kind and r.target_id = target) then
    changed := false;
  elsif relation_kind = 'follow' and exists (
    select from relations r
    where r.kind = 'block' and (r.user_id, r.target_id) in ((actor, target), (target, actor))
  ) then
    return query select 'blocked', null::bigint, null::bigint, null::boolean, null::boolean, null::boolean;
    return;
  elsif at_most <= (select count(*) from relations r where r.user_id = actor and r.kind = relation_kind) then
    return query select 'too_many', null::bigint, null::bigint, null::boolean, null::boolean, null::boolean;
    return;
  else
    insert into relations (user_id, kind, target_id) values (actor, relation_kind, target);
    changed := true;
  end if;

  if changed then
    if relation_kind = 'block' and wanted then
      delete from relations r where r.user_id = actor and r.kind = 'follow' and r.target_id = target;
      if found then
        events := events || ended[1];
      end if;
      delete from relations r where r.user_id = target and r.kind = 'follow' and r.target_id = actor;
      if found then
        events := events || ended[2];
      end if;
    end if;
    perform append_events(replace(replace('[' || array_to_string(events || told, ',') || ']',
      stand_ins[1], to_json(actor_name)::text), stand_ins[2], to_json(target_name)::text)::json);
    pending := currval(pg_get_serial_sequence('event_outbox', 'id'));
    perform notify_of_relation(relation_kind, actor, target, wanted);
  else
    -- Before the stream is looked at: what is numbered between the two is in one of them.
    pending := (
      select max(o.id) from event_outbox o
      where o.audience = 'user:' || actor and o.relation ->> 'kind' = relation_kind
        and (o.relation ->> 'target_id')::bigint = target
    );
  end if;
  return query
  select case when changed then 'changed' else 'same' end, pending,
    case when pending is null then coalesce(
      (select s.since_seq from stream_relations s where s.user_id = actor and s.kind = relation_kind and s.target_id = target),
      (select h.seq from feed_head h)
    ) end,
    coalesce(bool_or(r.kind = 'follow'), false), coalesce(bool_or(r.kind = 'block'), false),
    coalesce(bool_or(r.kind = 'mute'), false)
  from relations r where r.user_id = actor and r.target_id = target;
end
$$;
