'use strict';

/**
 * What a refresh token's successor is made from, together with the token itself (server/auth/refresh-tokens.ts): a client
 * that has not heard the answer asks again and is given the same successor, by whichever node. Null for tokens that a node of
 * the version before has spent: those are not given again.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      alter table refresh_tokens add column successor_salt bytea;
    `);
  },

  async down(queryInterface) {
    await queryInterface.removeColumn('refresh_tokens', 'successor_salt');
  },
};
