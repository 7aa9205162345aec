'use strict';

/**
 * What a search needs to know of the posts that the index finds, so that none of them is read a second time: a word that
 * only old posts have may be in ten thousands of them. `search_posts`, which tells their ids alone, stays for nodes of the
 * version before.
 *
 * Posts that have all pieces and match all patterns, but no more than so many, in no order. By the index whatever the
 * statistics say: for a word that is rare reading all posts is never right, and the caller stops where there are many. With
 * room for the exact places of all that are found: without it whole pages of posts are compared with the pieces again.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      create function find_posts(pieces tsquery, patterns text[], at_most bigint)
      returns table (id bigint, owner_id bigint, published boolean, listed_at timestamptz)
      language sql stable set enable_seqscan = off set enable_indexscan = off set work_mem = '32MB' as $$
        select p.id, p.owner_id, p.published, p.listed_at from posts p
        where p.search_grams @@ pieces and p.search_text like all (patterns)
        limit at_most
      $$;
    `);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query('drop function find_posts(tsquery, text[], bigint);');
  },
};
