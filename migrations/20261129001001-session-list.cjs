'use strict';

/** What a list of a user's sessions tells them apart by. Sessions that nodes of the version before open have neither. */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(
      'alter table sessions add column client varchar(80), add column last_seen_at timestamptz',
    );
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query('alter table sessions drop column last_seen_at, drop column client');
  },
};
