'use strict';

/**
 * What moderators have removed. For everyone such a post is deleted; its text is kept here for thirty days, so that it
 * can be restored with its thread and its votes. Its owner is not referred to: the database would lock users behind
 * posts. And since when nobody may reply in a thread.
 */
module.exports = {
  async up({ sequelize }) {
    await sequelize.query(`
      alter table posts add column locked_at timestamptz;
      create table removed_posts (
        post_id bigint primary key references posts (id) on delete cascade,
        owner_id bigint not null,
        title text,
        content text not null,
        tags text[] not null,
        mentions jsonb not null,
        removed_at timestamptz not null default clock_timestamp()
      );
      create index removed_posts_owner_idx on removed_posts (owner_id);
      create index removed_posts_removed_at_idx on removed_posts (removed_at);
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      drop table removed_posts;
      alter table posts drop column locked_at;
    `);
  },
};
