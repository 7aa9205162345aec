'use strict';

/** The function that writes many posts at once, each with its tally, its event and the record of its idempotency key. */
module.exports = {
  async up(queryInterface) {
    // The owners are locked first, as everywhere: whoever renames one waits, or is waited for, so the name in the event is
    // the owner's. Without patience, posts whose owners somebody else has locked are given back with no id. Of an owner who
    // is gone and of a key that is taken there is no row, and nothing is written. A key is claimed before its post: whoever
    // claims it at the same moment, elsewhere or in the same call, waits and then has none. The event's JSON is
    // `presentPost`'s, of which the caller has encoded what the caller knows.
    await queryInterface.sequelize.query(`
      create function create_posts(owners bigint[], titles text[], contents text[], publish boolean[], encoded text[],
                                   keys text[], requests bytea[], patient boolean)
      returns table (ord integer, id bigint, username text, created_at timestamptz)
      language plpgsql as $$
      #variable_conflict use_column
      declare
        moment text := to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
        free bigint[];
      begin
        if patient then
          free := array(select u.id from users u where u.id = any (owners) order by u.id for key share);
        else
          perform set_config('lock_timeout', '100ms', true);
          free := array(select u.id from users u where u.id = any (owners) order by u.id for key share skip locked);
        end if;

        return query
        with asked as materialized (
          select a.*, u.username, nextval('posts_id_seq') as id
          from unnest(owners, titles, contents, publish, encoded, keys, requests) with ordinality
            as a (owner_id, title, content, published, encoded, key, request, ord)
          join users u on u.id = a.owner_id
          where a.owner_id = any (free)
          order by a.ord
        ), shown as materialized (
          select a.*,
                 '{"id":' || a.id || ',' || a.encoded || ',"created_at":"' || moment || '","updated_at":"' || moment ||
                 '","version":1,"owner_id":' || a.owner_id || ',"owner":{"id":' || a.owner_id || ',"username":' ||
                 to_json(a.username)::text || '},"votes":0,"rev":0' as view
          from asked a
        ), claimed as (
          insert into idempotency_keys (user_id, key, request_hash, post_id, answer)
          select s.owner_id, s.key, s.request, s.id, (s.view || ',"voted":false}')::json
          from shown s where s.key is not null
          order by s.owner_id, s.key, s.ord
          on conflict do nothing
          returning post_id
        ), written as (
          insert into posts (id, owner_id, title, content, published)
          select s.id, s.owner_id, s.title, s.content, s.published
          from shown s where s.key is null or s.id in (select c.post_id from claimed c)
          order by s.id
          returning id
        ), tallied as (
          insert into post_tallies (post_id, hot) select w.id, hot_rank(0, now()) from written w
        ), told as (
          insert into outbox (name, post_id, data)
          select 'post:created', s.id, (s.view || '}')::json
          from shown s join written w on w.id = s.id where s.published
          order by s.id
        )
        select s.ord::integer, s.id, s.username, now() from shown s join written w on w.id = s.id
        union all
        select a.ord::integer, null, null, null
        from unnest(owners) with ordinality as a (owner_id, ord) join users u on u.id = a.owner_id
        where a.owner_id <> all (free);
      end
      $$;
    `);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(
      'drop function create_posts(bigint[], text[], text[], boolean[], text[], text[], bytea[], boolean)',
    );
  },
};
