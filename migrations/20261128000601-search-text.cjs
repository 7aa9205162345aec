'use strict';

/**
 * What searches compare: the text of each post without case, accents and differences of Unicode form, and the pieces by which
 * it is found. Both are made by the service (server/text), so they depend on no setting of the database.
 *
 * Nodes of the version before write posts without them, and edit posts that have them: the trigger marks those, and any
 * node of this version adds what is missing (server/posts/unfolded-posts.ts), as it does for all posts that are there now.
 * Their searches still find everything; without their indexes, which would double the cost of a post, they read all posts.
 */
module.exports = {
  async up(queryInterface) {
    const { sequelize } = queryInterface;
    await sequelize.query(`
      alter table posts
        add column search_text text collate "C",
        add column search_grams tsvector,
        add column search_fold smallint;

      create function forget_fold() returns trigger
      language plpgsql as $$
      begin
        new.search_fold := null;
        return new;
      end
      $$;
      create trigger posts_forget_fold before update of title, content on posts
        for each row when (
          (new.title, new.content) is distinct from (old.title, old.content)
          and new.search_text is not distinct from old.search_text
        )
        execute function forget_fold();
    `);

    // As the function of the same name with fewer arguments (20261124000006-posts-together), which nodes of the version
    // before go on calling, but with what searches compare.
    await sequelize.query(`
      create function create_posts(owners bigint[], titles text[], contents text[], publish boolean[], encoded text[],
                                   keys text[], requests bytea[], patient boolean, search_texts text[],
                                   search_grams text[], fold smallint)
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
          from unnest(owners, titles, contents, publish, encoded, keys, requests, search_texts, search_grams)
            with ordinality
            as a (owner_id, title, content, published, encoded, key, request, search_text, search_grams, ord)
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
          insert into posts (id, owner_id, title, content, published, search_text, search_grams, search_fold)
          select s.id, s.owner_id, s.title, s.content, s.published, s.search_text,
                 array_to_tsvector(string_to_array(s.search_grams, ' ')), fold
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

    // Posts that have all pieces and match all patterns, but no more than so many, in no order. By the index whatever the
    // statistics say: for a word that is rare reading all posts is never right, and the caller stops where there are many.
    await sequelize.query(`
      create function search_posts(pieces tsquery, patterns text[], at_most bigint) returns setof bigint
      language sql stable set enable_seqscan = off set enable_indexscan = off as $$
        select p.id from posts p
        where p.search_grams @@ pieces and p.search_text like all (patterns)
        limit at_most
      $$;
    `);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      drop function search_posts(tsquery, text[], bigint);
      drop function create_posts(bigint[], text[], text[], boolean[], text[], text[], bytea[], boolean, text[], text[],
                                 smallint);
      drop trigger posts_forget_fold on posts;
      drop function forget_fold();
      alter table posts drop column search_text, drop column search_grams, drop column search_fold;
    `);
  },
};
