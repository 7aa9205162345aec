'use strict';

const { makeConcurrently, makeMissing } = require('./helpers/indexes.cjs');

const INDEXES = { moderation_cases_open_idx: 'moderation_cases (opened_at) where resolved_at is null' };

/** The cases that wait for a moderator are counted every few seconds: by this index, which has no others. */
module.exports = {
  /** Without a transaction, so that users report meanwhile. */
  async prepare({ sequelize }) {
    await makeConcurrently(sequelize, INDEXES);
  },

  async up({ sequelize }) {
    await sequelize.query((await makeMissing(sequelize, INDEXES)) || 'select 1');
  },

  async down({ sequelize }) {
    await sequelize.query('drop index moderation_cases_open_idx');
  },
};
