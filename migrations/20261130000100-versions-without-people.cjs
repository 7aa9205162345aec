'use strict';

const { makeMissingFunctions } = require('./helpers/functions.cjs');

/**
 * What nodes of versions may not do that know neither suspensions nor links of mails: let a suspended user log in, and set
 * a password beside which a link to another one is still good.
 */
module.exports = {
  async up({ sequelize }) {
    await makeMissingFunctions(sequelize, ['refuse_session_of_suspended', 'end_reset_of_changed_password']);
    await sequelize.query(`
      create trigger sessions_of_suspended before insert on sessions
        for each row execute function refuse_session_of_suspended();

      create trigger users_reset_of_changed_password after update of password_hash on users
        for each row when (old.password_hash is distinct from new.password_hash)
        execute function end_reset_of_changed_password();
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      drop trigger sessions_of_suspended on sessions;
      drop trigger users_reset_of_changed_password on users;
    `);
  },
};
