'use strict';

/**
 * The index of searches in place of the two that could tell letters only where the database's LC_CTYPE knows them, and the
 * one by which posts are found that are not in it yet. While these are made, nobody waits but writers of posts: a second or
 * two at two million posts. The extension pg_trgm stays: it may serve others.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      create index posts_search_grams_idx on posts using gin (search_grams) where search_grams is not null;
      create index posts_unfolded_idx on posts (id) where search_fold is distinct from 1;
      drop index if exists posts_title_trgm_idx;
      drop index if exists posts_content_trgm_idx;
    `);
  },

  // Theirs come back where the extension is, as in 20261124000004-search.
  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      drop index posts_unfolded_idx;
      drop index posts_search_grams_idx;
      do $$
      begin
        create index posts_title_trgm_idx on posts using gin (title gin_trgm_ops);
        create index posts_content_trgm_idx on posts using gin (content gin_trgm_ops);
      exception
        when undefined_object then null;
      end
      $$;
    `);
  },
};
