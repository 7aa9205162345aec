'use strict';

/** Which accounts are being exported: one export at a time for each, on whichever node. */
module.exports = {
  async up({ sequelize }) {
    await sequelize.query(`
      create table account_exports (
        user_id bigint primary key references users (id) on delete cascade,
        holder uuid not null,
        expires_at timestamptz not null
      );
    `);
  },

  async down({ sequelize }) {
    await sequelize.query('drop table account_exports');
  },
};
