'use strict';

/**
 * What makes two e-mail addresses one (server/text/email.ts), decided by the service and not by the database's LC_CTYPE.
 * Only an address with characters beyond ASCII has a key in a column: that of all others is the address in small letters,
 * so no row has to be rewritten. The trigger takes the key away when a node of the version before changes the address; any node
 * of this version makes what is missing (server/users/unkeyed-accounts.ts).
 *
 * Accounts that were two and now are one address or name, as under a Turkish locale `IRIS` and `iris`, stay two: the newer
 * has a key of its own, a space and its exact address, which only who types it so means.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      alter table users
        add column email_key text collate "C",
        add column username_key text collate "C";

      create function forget_account_keys() returns trigger
      language plpgsql as $$
      begin
        if new.email is distinct from old.email and new.email_key is not distinct from old.email_key then
          new.email_key := null;
        end if;
        if new.username is distinct from old.username and new.username_key is not distinct from old.username_key then
          new.username_key := null;
        end if;
        return new;
      end
      $$;
      create trigger users_forget_account_keys before update of email, username on users
        for each row execute function forget_account_keys();

      update users u set email_key = ' ' || u.email
      from (
        select id, row_number() over (partition by lower(email collate "C") order by id) as place from users
      ) alike
      where alike.id = u.id and alike.place > 1;
      update users u set username_key = ' ' || u.username
      from (
        select id, row_number() over (partition by lower(username collate "C") order by id) as place from users
      ) alike
      where alike.id = u.id and alike.place > 1;
    `);
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(`
      drop trigger users_forget_account_keys on users;
      drop function forget_account_keys();
      alter table users drop column email_key, drop column username_key;
    `);
  },
};
