'use strict';

const { makeMissingFunctions } = require('./helpers/functions.cjs');
const { makeConcurrently, makeMissing } = require('./helpers/indexes.cjs');

/**
 * By which tag, and by whose mention, a post is found. The tables follow `posts.tags` and `posts.mentions` by triggers,
 * also where a node of the version before writes these. `post_tags` has the time by which `sort=new` sorts, so that the
 * newest posts with a tag are read by one index.
 *
 * `parsed_at` says that tags and mentions are those of the text; null: still to be found, by any node of this version
 * (server/posts/unparsed-posts.ts). So is each post that is there now, and each whose text a node of the version before
 * writes. Of the latter `tags` is what the last event of the post told (`{}` of a new one), so that it is known which
 * topics it leaves.
 */
const COLUMN = 'alter table posts add column if not exists parsed_at timestamptz';
const INDEXES = { posts_unparsed_idx: 'posts (id) where parsed_at is null' };

/** The triggers' functions. */
const FUNCTIONS = ['keep_post_tags', 'keep_post_mentions', 'forget_tags'];

module.exports = {
  /** Without a transaction, so that posts are written meanwhile. */
  async prepare({ sequelize }) {
    await sequelize.query(COLUMN);
    await makeConcurrently(sequelize, INDEXES);
  },

  async up({ sequelize }) {
    await makeMissingFunctions(sequelize, FUNCTIONS);
    // One string is one transaction also where each statement of a migration has its own.
    await sequelize.query(`
      ${COLUMN};
      ${await makeMissing(sequelize, INDEXES)}
      alter table posts alter column tags set default '{}';

      create table post_tags (
        tag text collate "C" not null,
        listed_at timestamptz not null,
        post_id bigint not null,
        primary key (tag, listed_at, post_id)
      );
      create table post_mentions (
        user_id bigint not null references users (id) on delete cascade,
        post_id bigint not null,
        primary key (user_id, post_id)
      );

      create trigger posts_forget_tags before update on posts
        for each row when (
          new.parsed_at is not distinct from old.parsed_at
          and ((new.title, new.content) is distinct from (old.title, old.content)
            or new.deleted_at is distinct from old.deleted_at)
        )
        execute function forget_tags();

      create trigger posts_tags_of_insert after insert on posts
        for each row when (new.tags <> '{}') execute function keep_post_tags();
      create trigger posts_tags_of_update after update on posts
        for each row when (
          new.tags is distinct from old.tags or (new.listed_at <> old.listed_at and new.tags <> '{}')
        )
        execute function keep_post_tags();
      create trigger posts_tags_of_delete after delete on posts
        for each row when (old.tags <> '{}') execute function keep_post_tags();

      create trigger posts_mentions_of_insert after insert on posts
        for each row when (new.mentions <> '[]') execute function keep_post_mentions();
      create trigger posts_mentions_of_update after update on posts
        for each row when (new.mentions is distinct from old.mentions) execute function keep_post_mentions();
      create trigger posts_mentions_of_delete after delete on posts
        for each row when (old.mentions <> '[]') execute function keep_post_mentions();
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      drop trigger posts_forget_tags on posts;
      drop trigger posts_tags_of_insert on posts;
      drop trigger posts_tags_of_update on posts;
      drop trigger posts_tags_of_delete on posts;
      drop trigger posts_mentions_of_insert on posts;
      drop trigger posts_mentions_of_update on posts;
      drop trigger posts_mentions_of_delete on posts;
      drop table post_tags;
      drop table post_mentions;
      alter table posts alter column tags drop default, drop column parsed_at;
    `);
  },
};
