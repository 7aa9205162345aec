'use strict';

const { makeMissingFunctions } = require('./helpers/functions.cjs');

/**
 * What nodes of the version before write, which know neither replies nor relations: a post that they delete goes with
 * all that belongs to it, what they tell of posts and replies names thread, tags and author, and an account that they
 * delete stays until a node of this version has ended its relations and mentions. Only to make a reply something else
 * they are refused, with an error that they answer with 503.
 */
const FUNCTIONS = [
  'complete_event_of_version_before',
  'delete_post_of_version_before',
  'keep_account_of_version_before',
  'refuse_reply_of_version_before',
];

module.exports = {
  async up({ sequelize }) {
    await makeMissingFunctions(sequelize, FUNCTIONS);
    // One string is one transaction also where each statement of a migration has its own.
    await sequelize.query(`
      create trigger event_outbox_of_version_before before insert on event_outbox
        for each row when (
          new.entity_type = 'post' and new.container_type is null and 'thread:' || new.entity_id <> all (new.topics)
        )
        execute function complete_event_of_version_before();

      create trigger posts_delete_of_version_before before delete on posts
        for each row when (
          old.deleted_at is null and coalesce(current_setting('tidings.deletes_posts', true), '') <> 'on'
        )
        execute function delete_post_of_version_before();

      create trigger posts_reply_of_version_before before update on posts
        for each row when (
          new.root_id is not null and new.deleted_at is null and (new.title is not null or not new.published)
        )
        execute function refuse_reply_of_version_before();

      create trigger users_delete_of_version_before before delete on users
        for each row execute function keep_account_of_version_before();
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      drop trigger event_outbox_of_version_before on event_outbox;
      drop trigger posts_delete_of_version_before on posts;
      drop trigger posts_reply_of_version_before on posts;
      drop trigger users_delete_of_version_before on users;
    `);
  },
};
