'use strict';

/**
 * What is still to be done for an account that was renamed or deleted, in pieces: it was one statement, which for 100,000 posts
 * took ten seconds. A deleted account is marked, has no address, name or hash from that moment on, and its row goes last.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      alter table users add column deleted_at timestamptz;

      create table account_tasks (
        user_id bigint primary key references users (id) on delete cascade,
        kind text not null,
        before_listed_at timestamptz not null default 'infinity',
        before_post_id bigint not null default 9223372036854775807,
        worked_at timestamptz not null default clock_timestamp(),
        constraint account_tasks_kind_check check (kind in ('rename', 'delete'))
      );
    `);
  },

  async down(queryInterface) {
    // What is under way is brought to its end first: nobody would take it up again.
    await queryInterface.sequelize.query(`
      do $$
      begin
        if exists (select from account_tasks) then
          raise exception 'accounts are being renamed or deleted: let a node of this version finish (account_tasks must be empty)';
        end if;
      end
      $$;
      drop table account_tasks;
      alter table users drop column deleted_at;
    `);
  },
};
