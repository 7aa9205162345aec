'use strict';

const { makeConcurrently } = require('./helpers/indexes.cjs');

/**
 * A search for a word that very many posts have, but none of the first in the list, read all of them: some fifty times what
 * a page needs, and more with every post. Now the index also knows in which block each post is, 2,048 ids together, and in
 * which 4 and 16 of these. So it can be asked block by block: where the posts with a word are few they are read, and where
 * they are many the list is walked through past all posts before them. The blocks depend on the id alone, so neither a node
 * of the version before nor a change by hand can make them wrong, and no post has to be written again.
 *
 * `find_posts` and `search_posts` stay for nodes of the version before; the index serves them as well.
 */
const INDEX = 'posts_search_grams_idx';
const NEW_INDEX = 'posts_search_blocks_idx';
const BLOCKS = 'array[p.id >> 11, -1 - 2 * (p.id >> 13), -2 - 2 * (p.id >> 15)]';
const COLUMNS = `using gin ((${BLOCKS.replaceAll('p.', '')}), search_grams)`;
/**
 * Each question reads what waits to be sorted in: of the default of 4 MB that would take some 3 ms. Much less, and it is sorted in
 * so often that a post costs a tenth more.
 */
const PENDING = 'with (gin_pending_list_limit = 1024)';

module.exports = {
  /**
   * Without a transaction, so that posts are written meanwhile: where they are folded already, at two million the index takes
   * a minute.
   */
  async prepare({ sequelize }) {
    await makeConcurrently(sequelize, {
      [NEW_INDEX]: `posts ${COLUMNS} ${PENDING} where search_grams is not null`,
    });
  },

  async up(queryInterface) {
    const { sequelize } = queryInterface;
    await sequelize.query(`
      create index if not exists ${NEW_INDEX} on posts ${COLUMNS} ${PENDING} where search_grams is not null;
      drop index ${INDEX};
      alter index ${NEW_INDEX} rename to ${INDEX};
    `);
    await sequelize.query(SEARCH_BLOCKS);
    await sequelize.query(SEARCH_CANDIDATES);
    await sequelize.query(SEARCH_PAGE);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      drop function search_page(text, tsquery, text[], bigint, bigint, text, bigint, bigint, bigint, boolean, bigint, bigint);
      drop function search_candidates(tsquery, text[], bigint, bigint, bigint, boolean, boolean);
      drop function search_blocks(bigint, bigint);
      drop index ${INDEX};
      create index ${INDEX} on posts using gin (search_grams) where search_grams is not null;
    `);
  },
};

/** The keys of the index that cover the blocks from the first to before the end: the largest that fit. */
const SEARCH_BLOCKS = `
  create function search_blocks(first_block bigint, end_block bigint) returns bigint[]
  language plpgsql immutable as $$
  declare
    keys bigint[] := '{}';
    block bigint := first_block;
  begin
    while block < end_block loop
      if block % 16 = 0 and block + 16 <= end_block then
        keys := keys || (-2 - 2 * (block / 16));
        block := block + 16;
      elsif block % 4 = 0 and block + 4 <= end_block then
        keys := keys || (-1 - 2 * (block / 4));
        block := block + 4;
      else
        keys := keys || block;
        block := block + 1;
      end if;
    end loop;
    return keys;
  end
  $$;
`;

/**
 * The posts that have all pieces, from one end of some ids on, as long as they are not too many: `hits` are those of them
 * that match the patterns too, and `rest` is the id from which on they are many; null if there is none.
 *
 * The ranges of blocks that the index is asked for grow until one has too many posts, and shrink from then on, down to one
 * block. No range is longer than what has been passed, or than 64 thousand ids, since the index intersects all that it has of
 * a range before the first post is read. Where a word is only the beginning of pieces, each question collects all posts with
 * any of these first, so there are fewer questions.
 *
 * `deceptive`: they are many, but hardly any of them matches. `sparse`: ids lie so far apart that the questions are too
 * many; it is asked for all posts at once then, as it is where `blocked` is false, since the index knows no blocks.
 */
const SEARCH_CANDIDATES = `
  create function search_candidates(pieces tsquery, patterns text[], at_most bigint, low bigint, high bigint,
                                    downward boolean, blocked boolean,
                                    out hits bigint[], out rest bigint, out sparse boolean, out deceptive boolean)
  language plpgsql stable
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = on
  set max_parallel_workers_per_gather = 0 set work_mem = '32MB' as $$
  declare
    partial constant boolean := pieces::text like '%:*%';
    dense constant bigint := at_most / 8;
    narrowest bigint := 1;
    -- The next block; downward the one behind it. And where it ends.
    position bigint := case when downward then (high >> 11) + 1 else low >> 11 end;
    last constant bigint := case when downward then low >> 11 else (high >> 11) + 1 end;
    nearest bigint;
    passed bigint := 0;
    width bigint;
    far bigint;
    narrowing boolean := false;
    candidates bigint := 0;
    looked bigint := 0;
    matching bigint := 0;
    found bigint[];
    count bigint;
  begin
    hits := '{}';
    sparse := not blocked;
    deceptive := false;
    if sparse then
      select count(*), array_agg(c.id) filter (where c.hit) into count, found
      from (
        select p.id, p.search_text like all (patterns) as hit from posts p
        where p.search_grams @@ pieces and p.id + 0 between low and high
        limit at_most + 1
      ) c;
      if count <= at_most then
        hits := coalesce(found, '{}');
      else
        rest := case when downward then high else low end;
      end if;
      return;
    end if;

    if partial then
      narrowest := 1 + abs(last - position) / 128;
    end if;
    for asked in 1 .. 300 loop
      if not narrowing then
        -- Blocks without any post are passed over.
        if downward then
          select max(p.id) into nearest from posts p where p.id >= low and p.id < position << 11;
          position := (nearest >> 11) + 1;
        else
          select min(p.id) into nearest from posts p where p.id <= high and p.id >= position << 11;
          position := nearest >> 11;
        end if;
        width := case when partial then least(greatest(16 * narrowest, passed), 1024)
                      when passed < 16 then greatest(1, passed) else least(passed / 2, 32) end;
      end if;
      if position is null or position = last then
        return;
      end if;

      far := case when downward then greatest(last, position - width) else least(last, position + width) end;
      select count(*), array_agg(c.id) filter (where c.hit) into count, found
      from (
        select p.id, p.search_text like all (patterns) as hit from posts p
        where ${BLOCKS} && search_blocks(least(far, position), greatest(far, position)) and p.search_grams @@ pieces
        limit least(at_most - candidates, dense) + 1
      ) c;
      looked := looked + count;
      matching := matching + coalesce(cardinality(found), 0);
      if count <= least(at_most - candidates, dense) then
        hits := hits || found;
        candidates := candidates + count;
        passed := passed + abs(far - position);
        position := far;
      else
        if width <= narrowest then
          deceptive := matching * 20 < looked;
          rest := case when downward then (position << 11) - 1 else position << 11 end;
          return;
        end if;
        narrowing := true;
        width := greatest((width + 3) / 4, narrowest);
      end if;
    end loop;
    rest := case when downward then (position << 11) - 1 else position << 11 end;
    sparse := true;
  end
  $$;
`;

/**
 * A page of the list of the posts that match all patterns, in its order: ids, and the key that each is sorted by, as text.
 *
 * First the beginning of the list is walked through: words that many posts have are met there. Then the index is asked.
 * Where it finds few posts, these are read. Where it finds many, it tells from which id on: those before are read, and the
 * others are met on a walk through the list that passes over all ids before, in the index of the list. The page is the same
 * wherever that id is, and whatever the order of the list has to do with ids: a good one only makes it fast. For lists by
 * votes the oldest posts are looked through in the same way, since votes do not follow age. If the page is not full then, both go on,
 * each with eight times as many posts: so it costs a few times the better of the two at most, and needs no statistics.
 *
 * `walked` says how many posts are walked through at first for each that is wanted, `asked` how many the index is asked for.
 * The plans are given: a walk goes by the index of its list, whatever the statistics say.
 */
const SEARCH_PAGE = `
  create function search_page(sort text, pieces tsquery, patterns text[], page_size bigint, skipped bigint,
                              cursor_key text, cursor_id bigint, owner bigint, drafts_of bigint, drafts_only boolean,
                              walked bigint, asked bigint)
  returns table (id bigint, key text)
  language plpgsql stable rows 20
  set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set enable_incremental_sort = off
  set enable_hashjoin = off set enable_mergejoin = off set enable_material = off
  set max_parallel_workers_per_gather = 0 as $$
  declare
    wanted constant bigint := skipped + page_size;
    column_of constant text := case sort when 'new' then 'p.listed_at' when 'top' then 't.votes' else 't.hot' end;
    id_of constant text := case sort when 'new' then 'p.id' else 't.post_id' end;
    type_of constant text := case sort when 'new' then 'timestamptz' when 'top' then 'integer' else 'double precision' end;
    tallies constant text := case sort when 'new' then '' else 'join post_tallies t on t.post_id = p.id' end;
    draft constant text := case when drafts_of is null then 'false' else '(not p.published and p.owner_id = $3)' end;
    listed constant text :=
      case when drafts_only then draft else '(p.published or ' || draft || ')' end
      || case when owner is null then '' else ' and p.owner_id = $2' end
      || case when cursor_key is null then ''
              else format(' and (%s, %s) < ($4::%s, $5)', column_of, id_of, type_of) end;
    somebodys constant text := case when drafts_only then 'not p.published and p.owner_id = ' || coalesce(drafts_of, 0)
                                    when owner is not null then 'p.owner_id = ' || owner end;
    statement constant text := format(
      'with walked as materialized (
         select w.id, w.key, w.hit, w.place
         from (
           select p.id, %1$s as key, p.search_text like all ($1) and p.owner_id <> all ($10) as hit,
                  row_number() over (order by %1$s desc, %2$s desc) as place
           from posts p %3$s where %4$s and %2$s >= $6 and %2$s <= $7 and $6 <= $7
           order by %1$s desc, %2$s desc limit $8
         ) w
         where w.hit or w.place = $8
         limit $11 + $12
       ), looked as (
         select count(*) < $11 + $12 and coalesce(max(w.place), 0) < $8 as whole from walked w
       ), behind as (
         select w.key, w.id from walked w order by w.key, w.id limit 1
       ), matching as (
         select w.id, w.key from walked w where w.hit
         union all
         select f.id, f.key
         from (
           select p.id, %1$s as key from (select distinct unnest($9) as id) c join posts p on p.id = c.id %3$s
           where %4$s and p.owner_id <> all ($10)
         ) f
         where (select l.whole from looked l) or (f.key, f.id) > (select b.key, b.id from behind b)
       ), page as (
         select m.id, m.key from matching m order by m.key desc, m.id desc limit $11 offset $12
       )
       select (select l.whole from looked l), array_agg(g.id order by g.key desc, g.id desc),
              array_agg(g.key::text order by g.key desc, g.id desc)
       from page g', column_of, id_of, tallies, listed);
    gone constant bigint[] := array(
      select u.id from account_tasks a join users u on u.id = a.user_id where u.deleted_at is not null);
    most bigint := wanted * walked;
    budget bigint := greatest(asked, wanted * 8);
    low bigint := 0;
    high bigint := coalesce((select max(p.id) from posts p), 0);
    blocked boolean;
    hits bigint[] := '{}';
    few record;
    whole boolean;
    ids bigint[];
    keys text[];
  begin
    for attempt in 0 .. 12 loop
      if attempt = 1 then
        blocked := exists (select from pg_index i
                           where i.indexrelid = to_regclass('${INDEX}') and i.indisvalid and i.indnatts = 2);
        -- Farther than the narrowest range in which the first of many posts may lie.
        most := greatest(most, 2 * asked + least(high / 64, 32 * asked));
      end if;
      if somebodys is not null and attempt = (case when drafts_only then 0 else 1 end) then
        -- Somebody's posts or drafts are soon read, if they are few.
        execute format(
          'select count(*) as posts, array_agg(o.id) filter (where o.hit) as hits
           from (select p.id, p.search_text like all ($1) as hit from posts p where %s limit $2 + 1) o', somebodys)
        into few using patterns, budget;
        if few.posts <= budget then
          hits := coalesce(few.hits, '{}');
          high := -1;
        end if;
      end if;
      if attempt > 0 and low <= high then
        few := search_candidates(pieces, patterns, budget, low, high, true, blocked);
        hits := hits || few.hits;
        blocked := blocked and not few.sparse;
        high := coalesce(few.rest, -1);
        if sort = 'top' and blocked and not few.deceptive and low <= high then
          few := search_candidates(pieces, patterns, budget, low, high, false, true);
          hits := hits || few.hits;
          blocked := not few.sparse;
          low := coalesce(few.rest, high + 1);
        end if;
        if few.deceptive then
          -- A walk through the list would meet even fewer.
          few := search_candidates(pieces, patterns, high + 1, low, high, true, false);
          hits := hits || few.hits;
          high := -1;
        end if;
      end if;
      execute statement into whole, ids, keys
      using patterns, owner, drafts_of, cursor_key, cursor_id, low, high, most, hits, gone, page_size, skipped;
      exit when whole or cardinality(ids) >= page_size;
      if attempt > 0 then
        budget := budget * 8;
        most := most * 8;
      end if;
    end loop;
    return query select * from unnest(ids, keys);
  end
  $$;
`;
