'use strict';

/** The second factor of logins: the secret of an authenticator app, and codes for when it is lost. */
module.exports = {
  async up({ sequelize }) {
    await sequelize.query(`
      create table totp_secrets (
        user_id bigint primary key references users (id) on delete cascade,
        secret bytea not null,
        confirmed_at timestamptz,
        last_step bigint not null default 0
      );
      create table recovery_codes (
        user_id bigint not null references users (id) on delete cascade,
        hash bytea not null,
        primary key (user_id, hash)
      );
    `);
  },

  async down({ sequelize }) {
    await sequelize.query('drop table recovery_codes; drop table totp_secrets');
  },
};
