'use strict';

const { makeConcurrently, makeMissing } = require('./helpers/indexes.cjs');

/**
 * What replies, relations between users and filtered views of the log stand on. Additive: nodes of the version before
 * go on beneath it, and see neither replies that were deleted nor relations.
 *
 * A reply is a post with a parent, a root and no title. `ancestors` are its parents, from the root on. A post with
 * `deleted_at` is a deleted reply that has living replies, or a deleted post whose thread is being taken away in
 * pieces.
 *
 * `relations` is what users want, written by their requests. `stream_relations` is what the stream of events goes by,
 * and since which number: written by the numbering alone, so that a request which holds a row never holds up the
 * numbering of everybody. It refers to no user for the same reason.
 *
 * The log learns whose words an event carries, with what else it goes away (its container), what those receive who
 * subscribe to a topic that it has left (its departure), and which relation it changes. `event_topics` finds the events
 * of a quiet topic without reading the log.
 */
const COLUMNS = `
  alter table posts
    add column if not exists parent_id bigint, add column if not exists root_id bigint;
  alter table event_log
    add column if not exists author_id bigint, add column if not exists container_id bigint`;

/**
 * By which the replies of a thread, and the events of an author, are found. Those that old nodes write have none of
 * these.
 */
const INDEXES = {
  posts_root_idx: 'posts (root_id, id) where root_id is not null',
  posts_parent_idx: 'posts (parent_id) where parent_id is not null',
  event_log_author_idx: 'event_log (author_id, seq) where author_id is not null',
  event_log_container_idx: 'event_log (container_id, seq) where container_id is not null',
};

module.exports = {
  /** Without a transaction, so that posts are written meanwhile. */
  async prepare({ sequelize }) {
    await sequelize.query(COLUMNS);
    await makeConcurrently(sequelize, INDEXES);
  },

  async up({ sequelize }) {
    // One string is one transaction also where each statement of a migration has its own.
    await sequelize.query(`
      ${COLUMNS};
      ${await makeMissing(sequelize, INDEXES)}
      alter table posts
        add column ancestors bigint[],
        add column deleted_at timestamptz,
        add column tags text[],
        add column mentions jsonb,
        alter column title drop not null,
        alter column owner_id drop not null,
        add constraint posts_parent_id_fkey foreign key (parent_id) references posts (id) not valid,
        add constraint posts_root_id_fkey foreign key (root_id) references posts (id) not valid,
        add constraint posts_title_present_check
          check (title is not null or parent_id is not null or deleted_at is not null) not valid,
        add constraint posts_owner_present_check check (owner_id is not null or deleted_at is not null) not valid,
        add constraint posts_thread_check check (num_nonnulls(parent_id, root_id, ancestors) in (0, 3)) not valid,
        add constraint posts_depth_check check (cardinality(ancestors) between 1 and 50) not valid;

      alter table post_tallies
        add column replies integer not null default 0,
        add constraint post_tallies_replies_check check (replies >= 0) not valid;

      create table relations (
        user_id bigint not null references users (id) on delete cascade,
        kind text not null,
        target_id bigint not null references users (id) on delete cascade,
        created_at timestamptz not null default now(),
        primary key (user_id, kind, target_id),
        constraint relations_kind_check check (kind in ('follow', 'block', 'mute')),
        constraint relations_self_check check (user_id <> target_id)
      );
      create index relations_target_idx on relations (target_id, kind, user_id);

      create table stream_relations (
        user_id bigint not null,
        kind text not null,
        target_id bigint not null,
        since_seq bigint not null,
        primary key (user_id, kind, target_id)
      );

      alter table event_outbox
        add column author_id bigint,
        add column container_type text,
        add column container_id bigint,
        add column erases_container boolean not null default false,
        add column departure json,
        add column relation json;
      alter table event_log
        add column container_type text,
        add column erases_container boolean not null default false,
        add column departure json,
        add column relation json;

      create table event_topics (
        topic text collate "C" not null,
        seq bigint not null,
        primary key (topic, seq)
      );
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      select from feed_head for update;
      drop table event_topics;
      delete from event_outbox where entity_type <> 'post' or relation is not null;
      alter table event_log
        drop column author_id, drop column container_type, drop column container_id, drop column erases_container,
        drop column departure, drop column relation;
      alter table event_outbox
        drop column author_id, drop column container_type, drop column container_id, drop column erases_container,
        drop column departure, drop column relation;
      drop table stream_relations;
      drop table relations;
      alter table post_tallies drop column replies;
      delete from posts where parent_id is not null or deleted_at is not null;
      alter table posts
        drop constraint posts_title_present_check, drop constraint posts_owner_present_check,
        drop column parent_id, drop column root_id, drop column ancestors, drop column deleted_at,
        drop column tags, drop column mentions,
        alter column title set not null, alter column owner_id set not null;
    `);
  },
};
