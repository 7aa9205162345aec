'use strict';

const { makeMissingFunctions } = require('./helpers/functions.cjs');

/**
 * When an address was proved, and the new one that waits for its proof; which address a token proves by its use; and the
 * links with which an address that was changed is put back. Nodes of the version before change an address at once, and
 * delete an account with nothing of this: a trigger takes the proof of the old address away, and the links. They replace a
 * token without what it proves: `proves` is good for the token of `proves_hash` alone.
 */
module.exports = {
  async up({ sequelize }) {
    await makeMissingFunctions(sequelize, ['forget_email_proof']);
    // One string is one transaction also where each statement of a migration has its own.
    await sequelize.query(`
      alter table users add column email_verified_at timestamptz, add column pending_email text;
      create trigger users_forget_email_proof before update of email, deleted_at on users
        for each row execute function forget_email_proof();

      alter table mailed_tokens add column proves text, add column proves_hash bytea;

      create table email_undos (
        hash bytea primary key,
        user_id bigint not null references users (id) on delete cascade,
        email text not null,
        email_key text collate "C" not null,
        proved boolean not null,
        created_at timestamptz not null default now(),
        expires_at timestamptz not null
      );
      create unique index email_undos_user_id_email_key on email_undos (user_id, email);
      create index email_undos_email_key_idx on email_undos (email_key);
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      drop trigger users_forget_email_proof on users;
      drop table email_undos;
      alter table mailed_tokens drop column proves_hash, drop column proves;
      alter table users drop column pending_email, drop column email_verified_at;
    `);
  },
};
