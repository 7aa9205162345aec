'use strict';

/**
 * Until when somebody is suspended, by the clock of the database; `infinity` if there is no end. And why sessions were
 * ended, so that their connections can be told: null of a logout and whatever else the user wanted.
 */
module.exports = {
  async up({ sequelize }) {
    await sequelize.query(`
      alter table users add column suspended_until timestamptz;
      alter table revocations add column code text;
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      alter table revocations drop column code;
      alter table users drop column suspended_until;
    `);
  },
};
