'use strict';

/**
 * What lets a search find its posts by the three-letter pieces of their texts, rather than read all of them.
 *
 * It needs the extension pg_trgm, which comes with PostgreSQL and may be created by the owner of a database. Where it may
 * not, or is not installed, there is no such index, which is no reason to stop: 20261128000602-search-index puts another in
 * its place.
 */
module.exports = {
  async up(queryInterface) {
    const { sequelize } = queryInterface;
    await sequelize.query(`
      do $$
      begin
        create extension if not exists pg_trgm;
        create index posts_title_trgm_idx on posts using gin (title gin_trgm_ops);
        create index posts_content_trgm_idx on posts using gin (content gin_trgm_ops);
      exception
        -- no right to create it; not installed; not allowed by the provider; out of reach in another schema
        when insufficient_privilege or undefined_file or feature_not_supported or undefined_object then null;
      end
      $$;
    `);
  },

  // The extension goes as well, unless somebody else's tables use it or it is not ours to drop.
  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      drop index if exists posts_title_trgm_idx;
      drop index if exists posts_content_trgm_idx;
      do $$
      begin
        drop extension if exists pg_trgm;
      exception
        when dependent_objects_still_exist or insufficient_privilege then null;
      end
      $$;
    `);
  },
};
