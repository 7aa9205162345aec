'use strict';

const { makeConcurrently, makeMissing } = require('./helpers/indexes.cjs');

/** Finds the sessions of a user that were not ended among those that were: a login counts them. */
const INDEXES = { sessions_live_idx: 'sessions (user_id) where revoked_at is null' };

module.exports = {
  /** Without a transaction: logins go on meanwhile. */
  async prepare({ sequelize }) {
    await makeConcurrently(sequelize, INDEXES);
  },

  async up({ sequelize }) {
    await sequelize.query((await makeMissing(sequelize, INDEXES)) || 'select 1');
  },

  async down({ sequelize }) {
    await sequelize.query('drop index sessions_live_idx');
  },
};
