'use strict';

const { makeConcurrently, makeMissing } = require('./helpers/indexes.cjs');

/**
 * How lists find posts that are no replies, replies of a thread by their votes, and threads that are to be taken away.
 * Additive: nodes of the version before write no replies, and the column that they do not know stays null.
 */
const COLUMNS = 'alter table post_tallies add column if not exists root_id bigint';

const INDEXES = {
  posts_top_level_idx: 'posts (listed_at desc, id desc) where parent_id is null',
  posts_owner_top_level_idx: 'posts (owner_id, listed_at desc, id desc) where parent_id is null',
  posts_deleted_idx: 'posts (id) where deleted_at is not null and parent_id is null',
  post_tallies_top_level_top_idx: 'post_tallies (votes desc, post_id desc) where root_id is null',
  post_tallies_top_level_hot_idx: 'post_tallies (hot desc, post_id desc) where root_id is null',
  post_tallies_thread_idx: 'post_tallies (root_id, votes desc, post_id desc) where root_id is not null',
};

module.exports = {
  /** Without a transaction, so that posts are written and voted for meanwhile. */
  async prepare({ sequelize }) {
    await sequelize.query(COLUMNS);
    await makeConcurrently(sequelize, INDEXES);
  },

  async up({ sequelize }) {
    // One string is one transaction also where each statement of a migration has its own.
    await sequelize.query(`${COLUMNS};\n${await makeMissing(sequelize, INDEXES)}`);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      ${Object.keys(INDEXES)
        .map((index) => `drop index ${index};`)
        .join('\n')}
      alter table post_tallies drop column root_id;
    `);
  },
};
