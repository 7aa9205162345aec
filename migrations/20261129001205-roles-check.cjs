'use strict';

const VALIDATE = 'alter table users validate constraint users_role_check';

/** Makes sure of the constraint that 20261129001201-roles added without a look at the rows: users are written meanwhile. */
module.exports = {
  /** Without a transaction, so its lock is held for no longer than that takes. */
  async prepare({ sequelize }) {
    await sequelize.query(VALIDATE);
  },

  async up({ sequelize }) {
    await sequelize.query(VALIDATE);
  },

  async down() {
    // The constraint goes with 20261129001201-roles.
  },
};
