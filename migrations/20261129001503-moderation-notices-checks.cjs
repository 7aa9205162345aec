'use strict';

const CONSTRAINTS = ['notifications_act_check', 'notifications_kind_check'];

async function validate(sequelize) {
  for (const name of CONSTRAINTS)
    await sequelize.query(`alter table notifications validate constraint ${name}`);
}

/** Makes sure of the constraints that 20261129001501-moderation-notices added without a look at the rows: users are notified meanwhile. */
module.exports = {
  /** Without a transaction, so no lock is held for longer than its constraint takes. */
  async prepare({ sequelize }) {
    await validate(sequelize);
  },

  async up({ sequelize }) {
    await validate(sequelize);
  },

  async down() {
    // 20261129001501-moderation-notices takes them away.
  },
};
