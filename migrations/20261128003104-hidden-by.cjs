'use strict';

/**
 * Who blocks a user is read with the user's own relations when the user connects. The table is new: the index takes no
 * time.
 */
module.exports = {
  async up({ sequelize }) {
    await sequelize.query(
      'create index if not exists stream_relations_target_idx on stream_relations (target_id, kind, user_id)',
    );
  },

  async down({ sequelize }) {
    await sequelize.query('drop index if exists stream_relations_target_idx');
  },
};
