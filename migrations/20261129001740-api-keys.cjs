'use strict';

/** API keys: sessions of programs, with the hash of the key in place of refresh tokens. */
module.exports = {
  async up({ sequelize }) {
    await sequelize.query(`
      create table api_keys (
        session_id uuid primary key references sessions (id) on delete cascade,
        hash bytea not null,
        name text not null,
        scopes text[] not null
      );
      create unique index api_keys_hash_key on api_keys (hash);
    `);
  },

  async down({ sequelize }) {
    // What stays would be logins that nobody made.
    await sequelize.query(`
      delete from sessions where id in (select session_id from api_keys);
      drop table api_keys;
    `);
  },
};
