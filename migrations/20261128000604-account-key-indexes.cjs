'use strict';

/**
 * The unique indexes over the keys, under the names by which nodes of the version before know a conflict. Those log in by
 * `lower(email)` without an index from here on, which is as slow as one more look at a password per million accounts.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      create unique index users_email_key_new on users (coalesce(email_key, lower(email collate "C")));
      create unique index users_username_key_new on users (coalesce(username_key, lower(username collate "C")));
      create index users_unkeyed_idx on users (id) where email_key is null and octet_length(email) <> char_length(email);
      drop index users_email_key;
      drop index users_username_key;
      alter index users_email_key_new rename to users_email_key;
      alter index users_username_key_new rename to users_username_key;
    `);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      drop index users_unkeyed_idx;
      drop index users_email_key;
      drop index users_username_key;
      create unique index users_email_key on users (lower(email));
      create unique index users_username_key on users (lower(username));
    `);
  },
};
