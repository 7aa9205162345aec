'use strict';

/**
 * Whether a refresh token says itself which session it was given to, so that its second use is noticed without its row: the row
 * goes soon after it is spent. Those that a node of the version before gives out do not, and their rows stay until they expire.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      alter table refresh_tokens add column signed boolean not null default false;
    `);
  },

  async down(queryInterface) {
    await queryInterface.removeColumn('refresh_tokens', 'signed');
  },
};
