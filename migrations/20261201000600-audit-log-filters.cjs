'use strict';

const { makeConcurrently, makeMissing } = require('./helpers/indexes.cjs');

/** Find the entries of one action, and those of one actor. */
const INDEXES = {
  audit_log_action_idx: 'audit_log (action, id)',
  audit_log_actor_idx: 'audit_log (actor_id, id) where actor_id is not null',
};

module.exports = {
  /** Without a transaction: moderators act meanwhile. */
  async prepare({ sequelize }) {
    await makeConcurrently(sequelize, INDEXES);
  },

  async up({ sequelize }) {
    await sequelize.query((await makeMissing(sequelize, INDEXES)) || 'select 1');
  },

  async down({ sequelize }) {
    await sequelize.query('drop index audit_log_action_idx, audit_log_actor_idx');
  },
};
