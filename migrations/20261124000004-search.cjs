'use strict';

/**
 * What lets a search find its posts by the three-letter pieces of their texts, rather than read all of them.
 *
 * It needs the extension pg_trgm, which comes with PostgreSQL and may be created by the owner of a database. Where it may
 * not, or is not installed, searches find the same, only slower: that is told, and is no reason to stop here.
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
    const [rows] = await sequelize.query(`select to_regclass('posts_content_trgm_idx') is not null as made`);
    if (!rows[0].made) {
      process.emitWarning(
        'The database cannot have the extension pg_trgm, so searches read every post. Have it created ' +
          '(create extension pg_trgm), then take this migration back and run it again.',
        { code: 'TIDINGS_SEARCH_INDEX' },
      );
    }
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
