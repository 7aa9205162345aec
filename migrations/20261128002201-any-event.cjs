'use strict';

const supersededText = require('./20261128000401-superseded-text.cjs');

/**
 * The log takes events about anything: each says what it is about (`entity_type`, `entity_id`), who may hear it (`audience`), what
 * one subscribes to in order to hear it (`topics`), what of the same entity it supersedes and which of its own fields are
 * emptied once it is superseded. No function here knows an event by its name: the caller that appends says all
 * of it.
 *
 * What is in the log stays where it is: the tables get new names and columns, which no row has to be rewritten for. Events
 * of before tell of posts for everybody; their topics say `feed` alone.
 *
 * Nodes of the version before go on with the tables of before, which are views: `outbox`, `events` and `redactions`. All that
 * they append is about a post and for everybody. What they call keeps its name: `number_events`, `create_posts`, `redacted`
 * with one argument. A later migration may drop the views and these functions.
 */
const POST_TEXT = '{title,content,owner.username}';

/** The function that makes sure of the epoch reads and writes the log by the name of its table. */
async function rewordOpenFeed({ sequelize }, from, to) {
  const [functions] = await sequelize.query(`
    select pg_get_functiondef(p.oid) as definition from pg_proc p
    where p.proname = 'open_feed' and p.pronamespace = current_schema()::regnamespace`);
  for (const { definition } of functions)
    await sequelize.query(
      definition
        .replaceAll(`from ${from} e`, `from ${to} e`)
        .replaceAll(`update ${from} e`, `update ${to} e`),
      { raw: true },
    );
}

module.exports = {
  async up(queryInterface) {
    const { sequelize } = queryInterface;
    // Nobody numbers meanwhile. One string is one transaction also where each statement of a migration has its own.
    await sequelize.query(`
      select from feed_head for update;

      alter table outbox drop constraint outbox_name_check;
      alter table outbox rename column post_id to entity_id;
      alter table outbox rename to event_outbox;
      alter sequence outbox_id_seq rename to event_outbox_id_seq;
      alter index outbox_pkey rename to event_outbox_pkey;
      alter table event_outbox
        add column entity_type text not null default 'post',
        add column audience text not null default 'public',
        add column topics text[] not null default '{feed}',
        add column supersedes text not null default 'all',
        add column redaction text[] not null default '${POST_TEXT}',
        add constraint event_outbox_supersedes_check check (supersedes in ('nothing', 'previous', 'all'));
      alter table event_outbox
        alter column entity_type drop default, alter column audience drop default, alter column topics drop default,
        alter column supersedes drop default, alter column redaction drop default;

      alter table events drop constraint events_name_check;
      alter table events rename column post_id to entity_id;
      alter table events rename to event_log;
      alter index events_pkey rename to event_log_pkey;
      alter index events_outbox_id_key rename to event_log_outbox_id_key;
      alter index events_post_id_seq_idx rename to event_log_entity_id_seq_idx;
      alter table event_log rename constraint events_seq_check to event_log_seq_check;
      alter table event_log
        add column entity_type text not null default 'post',
        add column audience text not null default 'public',
        add column topics text[] not null default '{feed}',
        add column redaction text[] not null default '${POST_TEXT}';
      alter table event_log
        alter column entity_type drop default, alter column audience drop default, alter column topics drop default,
        alter column redaction drop default;

      alter table redactions rename to event_redactions;
      alter table event_redactions rename column post_id to entity_id;
      alter table event_redactions add column entity_type text not null default 'post';
      alter table event_redactions alter column entity_type drop default;
      alter table event_redactions drop constraint redactions_pkey;
      alter table event_redactions add constraint event_redactions_pkey primary key (entity_type, entity_id);

      create view outbox as
        select id, name, entity_id as post_id, data, created_at from event_outbox where entity_type = 'post';
      create view events as
        select seq, outbox_id, name, entity_id as post_id, data, created_at, horizon, numbered_at from event_log;
      create view redactions as
        select entity_id as post_id, next_seq, before_seq from event_redactions where entity_type = 'post';

      create function append_for_version_before() returns trigger
      language plpgsql as $$
      begin
        insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data, created_at)
        select new.name, 'post', new.post_id, 'public',
          array_remove(array['feed', 'author:' || (new.data ->> 'owner_id')], null),
          -- A deletion says the post's id alone.
          case when new.data -> 'owner' is null then 'all' else 'previous' end,
          case when new.data -> 'owner' is null then '{}' else '${POST_TEXT}' end::text[],
          new.data, coalesce(new.created_at, clock_timestamp());
        return new;
      end
      $$;
      create trigger outbox_of_version_before instead of insert on outbox
        for each row execute function append_for_version_before();

      -- The one door to the outbox. Each element is an object with the columns as its members; they are numbered in this order.
      create function append_events(events json) returns void
      language sql as $$
        insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data)
        select e.name, e.entity_type, e.entity_id, e.audience, e.topics, e.supersedes, e.redaction, e.data
        from rows from (
          json_to_recordset(events) as (name text, entity_type text, entity_id bigint, audience text, topics text[],
                                        supersedes text, redaction text[], data json)
        ) with ordinality as e (name, entity_type, entity_id, audience, topics, supersedes, redaction, data, ord)
        order by e.ord
      $$;

      -- The payload of an event that was superseded: these fields are empty, if it has them.
      create function redacted(data json, fields text[]) returns json
      language plpgsql immutable parallel safe as $$
      declare
        emptied jsonb := data::jsonb;
        found boolean := false;
        field text;
      begin
        foreach field in array fields loop
          if emptied #> string_to_array(field, '.') is not null then
            found := true;
            emptied := jsonb_set(emptied, string_to_array(field, '.'), '""', false);
          end if;
        end loop;
        return case when found then (emptied || '{"redacted": true}')::json else data end;
      end
      $$;
    `);
    await rewordOpenFeed(queryInterface, 'events', 'event_log');

    // By whatever plan is right for many rows: see 20261124000005-numbering.
    await sequelize.query(`
      create or replace function number_events(at_most integer)
      returns table (first_seq bigint, last_seq bigint)
      language plpgsql set enable_seqscan = off as $$
      declare
        most_entities constant integer := 500;
        most_redacted constant integer := 500;
        head bigint;
        taken bigint;
        due_types text[];
        due_ids bigint[];
      begin
        select h.seq into head from feed_head h where h.id = 1 for update skip locked;
        if not found then
          return query select null::bigint, null::bigint; -- somebody is at it
          return;
        end if;

        -- One statement, one snapshot: what commits meanwhile with a lower id is not among the rows up to the last of these.
        with moved as (
          delete from event_outbox o
          where o.id <= (
            select max(next.id) from (select w.id from event_outbox w order by w.id limit at_most) next
          )
          returning o.id, o.name, o.entity_type, o.entity_id, o.audience, o.topics, o.supersedes, o.redaction, o.data,
            o.created_at
        ), placed as materialized (
          select head + row_number() over (order by m.id) as seq, m.* from moved m
        ), numbered as (
          insert into event_log
            (seq, outbox_id, name, entity_type, entity_id, audience, topics, redaction, data, created_at)
          select p.seq, p.id, p.name, p.entity_type, p.entity_id, p.audience, p.topics, p.redaction, p.data, p.created_at
          from placed p
          returning seq
        ), told as (
          select p.entity_type, p.entity_id, min(p.seq) as first_seq, max(p.seq) as last_seq,
            (array_agg(p.supersedes order by p.seq))[1] as first_supersedes, bool_or(p.supersedes = 'all') as erases
          from placed p group by p.entity_type, p.entity_id
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
          on conflict (entity_type, entity_id) do update
          set next_seq = least(r.next_seq, excluded.next_seq), before_seq = excluded.before_seq
        )
        select count(*) into taken from numbered;
        if taken > 0 then
          update feed_head set seq = head + taken where id = 1;
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
              select w.seq from event_log w
              where w.entity_type = r.entity_type and w.entity_id = r.entity_id
                and w.seq >= r.next_seq and w.seq < r.before_seq
              order by w.seq limit most_redacted
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
          );
        end if;

        if taken > 0 then
          return query select head + 1, head + taken;
        end if;
      end
      $$;
    `);

    // Events and answers are made by the service, with stand-ins for the three things that only the database knows of a new post:
    // its id, the moment (as in JSON, without quotes) and its owner's name (with quotes).
    await sequelize.query(`
      create function write_posts(owners bigint[], titles text[], contents text[], publish boolean[], events text[],
                                  answers text[], stand_ins text[], keys text[], requests bytea[], patient boolean,
                                  search_texts text[], search_grams text[], fold smallint)
      returns table (ord integer, id bigint, username text, created_at timestamptz)
      language plpgsql as $$
      #variable_conflict use_column
      declare
        moment text := to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
        free bigint[];
        written_ords bigint[];
        written_ids bigint[];
        written_names text[];
        told text;
      begin
        if patient then
          free := array(select u.id from users u where u.id = any (owners) order by u.id for key share);
        else
          perform set_config('lock_timeout', '100ms', true);
          free := array(select u.id from users u where u.id = any (owners) order by u.id for key share skip locked);
        end if;

        with asked as materialized (
          select a.*, u.username, nextval('posts_id_seq') as id
          from unnest(owners, titles, contents, publish, events, answers, keys, requests, search_texts, search_grams)
            with ordinality
            as a (owner_id, title, content, published, event, answer, key, request, search_text, search_grams, ord)
          join users u on u.id = a.owner_id
          where a.owner_id = any (free)
          order by a.ord
        ), claimed as (
          insert into idempotency_keys (user_id, key, request_hash, post_id, answer)
          select s.owner_id, s.key, s.request, s.id, replace(replace(replace(s.answer,
            stand_ins[1], s.id::text), stand_ins[2], moment), stand_ins[3], to_json(s.username)::text)::json
          from asked s where s.key is not null
          order by s.owner_id, s.key, s.ord
          on conflict do nothing
          returning post_id
        ), written as (
          insert into posts (id, owner_id, title, content, published, search_text, search_grams, search_fold)
          select s.id, s.owner_id, s.title, s.content, s.published, s.search_text,
                 array_to_tsvector(string_to_array(s.search_grams, ' ')), fold
          from asked s where s.key is null or s.id in (select c.post_id from claimed c)
          order by s.id
          returning id
        ), tallied as (
          insert into post_tallies (post_id, hot) select w.id, hot_rank(0, now()) from written w
        )
        select array_agg(s.ord order by s.id), array_agg(s.id order by s.id), array_agg(s.username order by s.id),
          string_agg(replace(replace(replace(s.event, stand_ins[1], s.id::text), stand_ins[2], moment),
            stand_ins[3], to_json(s.username)::text), ',' order by s.id)
        into written_ords, written_ids, written_names, told
        from asked s join written w on w.id = s.id;
        if told is not null then
          perform append_events(('[' || told || ']')::json);
        end if;

        return query
        select w.ord::integer, w.id, w.username, now()
        from unnest(written_ords, written_ids, written_names) as w (ord, id, username)
        union all
        select a.ord::integer, null, null, null
        from unnest(owners) with ordinality as a (owner_id, ord) join users u on u.id = a.owner_id
        where a.owner_id <> all (free);
      end
      $$;
    `);
  },

  async down(queryInterface) {
    const { sequelize } = queryInterface;
    // The version before knows posts alone.
    await sequelize.query(`
      select from feed_head for update;
      do $$
      begin
        if exists (select from event_outbox where entity_type <> 'post' or audience <> 'public')
          or exists (select from event_log where entity_type <> 'post' or audience <> 'public') then
          raise exception 'the log has events that the version before does not know';
        end if;
      end
      $$;

      drop function write_posts(bigint[], text[], text[], boolean[], text[], text[], text[], text[], bytea[], boolean,
                                text[], text[], smallint);
      drop function append_events(json);
      drop function redacted(json, text[]);
      drop view outbox;
      drop function append_for_version_before();
      drop view events;
      drop view redactions;

      alter table event_redactions drop constraint event_redactions_pkey;
      alter table event_redactions drop column entity_type;
      alter table event_redactions rename column entity_id to post_id;
      alter table event_redactions add constraint redactions_pkey primary key (post_id);
      alter table event_redactions rename to redactions;

      alter table event_log
        drop column entity_type, drop column audience, drop column topics, drop column redaction;
      alter table event_log rename constraint event_log_seq_check to events_seq_check;
      alter index event_log_entity_id_seq_idx rename to events_post_id_seq_idx;
      alter index event_log_outbox_id_key rename to events_outbox_id_key;
      alter index event_log_pkey rename to events_pkey;
      alter table event_log rename column entity_id to post_id;
      alter table event_log rename to events;
      alter table events add constraint events_name_check
        check (name in ('post:created', 'post:updated', 'post:deleted')) not valid;

      alter table event_outbox
        drop column entity_type, drop column audience, drop column topics, drop column supersedes, drop column redaction;
      alter index event_outbox_pkey rename to outbox_pkey;
      alter sequence event_outbox_id_seq rename to outbox_id_seq;
      alter table event_outbox rename column entity_id to post_id;
      alter table event_outbox rename to outbox;
      alter table outbox add constraint outbox_name_check
        check (name in ('post:created', 'post:updated', 'post:deleted'));
    `);
    await rewordOpenFeed(queryInterface, 'event_log', 'events');
    const statements = [];
    await supersededText.up({ sequelize: { query: async (sql) => void statements.push(sql) } });
    for (const statement of statements) await sequelize.query(statement);
  },
};
