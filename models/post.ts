import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  Op,
  type Sequelize,
} from 'sequelize';

export class Post extends Model<InferAttributes<Post>, InferCreationAttributes<Post>> {
  declare id: CreationOptional<number>;
  /** Null once it is deleted. */
  declare ownerId: CreationOptional<number>;
  /** Null of a reply, and once it is deleted. */
  declare title: CreationOptional<string>;
  declare content: string;
  declare published: CreationOptional<boolean>;
  /** Grows by one with each edit, and where a moderator restores the post or closes its thread. */
  declare version: CreationOptional<number>;
  declare createdAt: CreationOptional<Date>;
  /** When its author last changed it. */
  declare updatedAt: CreationOptional<Date>;
  /** Where it stands in `sort=new`: when it was first published or, if it never was, written. */
  declare listedAt: CreationOptional<Date>;
  /** Whether it has been public and was withdrawn since: publishing it again does not move it. Set by a trigger. */
  declare wasPublished: CreationOptional<boolean>;
  /** Of a reply: the post that it answers, and the one that its thread began with. */
  declare parentId: CreationOptional<number | null>;
  declare rootId: CreationOptional<number | null>;
  /** Of a reply: what it answers, from the root to the parent. */
  declare ancestors: CreationOptional<number[] | null>;
  /** Of a deleted reply that has living ones below it, and of a deleted post whose thread is still being taken away. */
  declare deletedAt: CreationOptional<Date | null>;
  /** Since when nobody may reply in its thread. */
  declare lockedAt: CreationOptional<Date | null>;
  /** The tags in its text, as its last event told them; null if no event ever did. */
  declare tags: CreationOptional<string[] | null>;
  /** Who is mentioned in its text: `[{id, username}]`, each name as it is written there. */
  declare mentions: CreationOptional<{ id: number; username: string }[] | null>;
  /** When tags and mentions were found in the text; null if that is still to be done. */
  declare parsedAt: CreationOptional<Date | null>;
  /** What searches compare. Left out where posts are read, as are the next three. */
  declare searchText: CreationOptional<string | null>;
  /** By what the index finds it; null if the database makes that of the text: see `keysOf`. */
  declare searchKeys: CreationOptional<string | null>;
  /** Written by nodes of the version before, and read by nobody. */
  declare searchGrams: CreationOptional<string | null>;
  /** By which version of the fold the text was made; null if it is still to be made. */
  declare searchFold: CreationOptional<number | null>;
}

/**
 * The number of a post's votes, apart from the post: a popular post is one hot row, and neither an edit should wait for
 * its voters nor its text be copied with each vote.
 */
export class PostTally extends Model<InferAttributes<PostTally>, InferCreationAttributes<PostTally>> {
  declare postId: number;
  /** That of its post; null of a post that is no reply. By it and the votes a thread is listed. */
  declare rootId: CreationOptional<number | null>;
  declare votes: CreationOptional<number>;
  /** Living replies below it, at whatever depth. */
  declare replies: CreationOptional<number>;
  /** Grows by one with each transaction that changes `votes` or `replies`. */
  declare rev: CreationOptional<number>;
  /** The rank in `sort=hot`: see `hot_rank` in the migrations. */
  declare hot: number;
  /** The last writing transaction: lets a reader ask for what changed since its last snapshot and miss no late commit. */
  declare xid: CreationOptional<string>;
}

export function definePost(sequelize: Sequelize): void {
  Post.init(
    {
      id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
      ownerId: {
        type: DataTypes.BIGINT,
        references: { model: 'users', key: 'id' },
        onDelete: 'CASCADE',
      },
      title: { type: DataTypes.TEXT },
      content: { type: DataTypes.TEXT, allowNull: false },
      published: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: true },
      version: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
      updatedAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
      listedAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
      wasPublished: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
      parentId: {
        type: DataTypes.BIGINT,
        references: { model: 'posts', key: 'id' },
        onDelete: 'NO ACTION',
        onUpdate: 'NO ACTION',
      },
      rootId: {
        type: DataTypes.BIGINT,
        references: { model: 'posts', key: 'id' },
        onDelete: 'NO ACTION',
        onUpdate: 'NO ACTION',
      },
      ancestors: { type: DataTypes.ARRAY(DataTypes.BIGINT) },
      deletedAt: { type: DataTypes.DATE },
      lockedAt: { type: DataTypes.DATE },
      tags: { type: DataTypes.ARRAY(DataTypes.TEXT), defaultValue: sequelize.literal("'{}'::text[]") },
      mentions: { type: DataTypes.JSONB },
      parsedAt: { type: DataTypes.DATE },
      searchText: { type: DataTypes.TEXT },
      searchKeys: { type: DataTypes.TSVECTOR },
      searchGrams: { type: DataTypes.TSVECTOR },
      searchFold: { type: DataTypes.SMALLINT },
    },
    {
      sequelize,
      tableName: 'posts',
      defaultScope: { attributes: { exclude: ['searchText', 'searchKeys', 'searchGrams', 'searchFold'] } },
      indexes: [
        {
          name: 'posts_listed_idx',
          fields: [
            { name: 'listed_at', order: 'DESC' },
            { name: 'id', order: 'DESC' },
          ],
        },
        { name: 'posts_drafts_idx', fields: ['owner_id'], where: { published: false } },
        {
          name: 'posts_owner_listed_idx',
          fields: ['owner_id', { name: 'listed_at', order: 'DESC' }, { name: 'id', order: 'DESC' }],
        },
        {
          name: 'posts_top_level_idx',
          fields: [
            { name: 'listed_at', order: 'DESC' },
            { name: 'id', order: 'DESC' },
          ],
          where: { parent_id: null },
        },
        {
          name: 'posts_owner_top_level_idx',
          fields: ['owner_id', { name: 'listed_at', order: 'DESC' }, { name: 'id', order: 'DESC' }],
          where: { parent_id: null },
        },
        {
          name: 'posts_deleted_idx',
          fields: ['id'],
          where: { deleted_at: { [Op.ne]: null }, parent_id: null },
        },
        { name: 'posts_root_idx', fields: ['root_id', 'id'], where: { root_id: { [Op.ne]: null } } },
        { name: 'posts_unparsed_idx', fields: ['id'], where: { parsed_at: null } },
        { name: 'posts_parent_idx', fields: ['parent_id'], where: { parent_id: { [Op.ne]: null } } },
      ],
    },
  );
  PostTally.init(
    {
      postId: {
        type: DataTypes.BIGINT,
        primaryKey: true,
        references: { model: 'posts', key: 'id' },
        onDelete: 'CASCADE',
      },
      rootId: { type: DataTypes.BIGINT },
      votes: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
      replies: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
      rev: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      hot: { type: DataTypes.DOUBLE, allowNull: false },
      xid: { type: 'XID8', allowNull: false, defaultValue: sequelize.literal('pg_current_xact_id()') },
    },
    {
      sequelize,
      tableName: 'post_tallies',
      indexes: [
        {
          name: 'post_tallies_top_idx',
          fields: [
            { name: 'votes', order: 'DESC' },
            { name: 'post_id', order: 'DESC' },
          ],
        },
        {
          name: 'post_tallies_hot_idx',
          fields: [
            { name: 'hot', order: 'DESC' },
            { name: 'post_id', order: 'DESC' },
          ],
        },
        {
          name: 'post_tallies_top_level_top_idx',
          fields: [
            { name: 'votes', order: 'DESC' },
            { name: 'post_id', order: 'DESC' },
          ],
          where: { root_id: null },
        },
        {
          name: 'post_tallies_top_level_hot_idx',
          fields: [
            { name: 'hot', order: 'DESC' },
            { name: 'post_id', order: 'DESC' },
          ],
          where: { root_id: null },
        },
        {
          name: 'post_tallies_thread_idx',
          fields: ['root_id', { name: 'votes', order: 'DESC' }, { name: 'post_id', order: 'DESC' }],
          where: { root_id: { [Op.ne]: null } },
        },
        { name: 'post_tallies_xid_idx', fields: ['xid'] },
      ],
    },
  );
}

export const postChecks = [
  `alter table posts add constraint posts_title_check check (char_length(title) between 1 and 200)`,
  `alter table posts add constraint posts_content_check check (char_length(content) <= 10000)`,
  `alter table posts add constraint posts_version_check check (version > 0)`,
  `alter table posts add constraint posts_title_present_check check (title is not null or parent_id is not null or deleted_at is not null)`,
  `alter table posts add constraint posts_owner_present_check check (owner_id is not null or deleted_at is not null)`,
  `alter table posts add constraint posts_thread_check check (num_nonnulls(parent_id, root_id, ancestors) in (0, 3))`,
  `alter table posts add constraint posts_depth_check check (cardinality(ancestors) between 1 and 50)`,
  `alter table post_tallies add constraint post_tallies_votes_check check (votes >= 0)`,
  `alter table post_tallies add constraint post_tallies_replies_check check (replies >= 0)`,
];

/** By which tag, and by whose mention, a post is found. Triggers write them: a model would not be used. */
export const postReferences = [
  `create table post_tags (tag text collate "C" not null, listed_at timestamptz not null, post_id bigint not null,
     primary key (tag, listed_at, post_id))`,
  `create table post_mentions (user_id bigint not null references users (id) on delete cascade, post_id bigint not null,
     primary key (user_id, post_id))`,
];

/** What moderators have removed, for thirty days. SQL functions write it: a model would not be used. */
export const removedPosts = [
  `create table removed_posts (
     post_id bigint primary key references posts (id) on delete cascade,
     owner_id bigint not null,
     title text,
     content text not null,
     tags text[] not null,
     mentions jsonb not null,
     removed_at timestamptz not null default clock_timestamp()
   )`,
  `create index removed_posts_owner_idx on removed_posts (owner_id)`,
  `create index removed_posts_removed_at_idx on removed_posts (removed_at)`,
];

/** What a search is compared with and found by, in any database: see the functions of the database. */
export const postSearch = [
  `alter table posts alter column search_text type text collate "C"`,
  `create index posts_search_keys_idx on posts
     using gin ((array[id >> 11, -1 - 2 * (id >> 13), -2 - 2 * (id >> 15)]), (coalesce(search_keys, search_keys_of(search_text))))
     with (gin_pending_list_limit = 1024)`,
  `create table search_words (word text collate "C" not null, unused_since xid8)`,
  `create index search_words_word_idx on search_words (word) where unused_since is null`,
  `create index search_words_parts_idx on search_words using gin (array_to_tsvector(search_parts(word)))
     with (gin_pending_list_limit = 64)`,
  `create index search_words_unused_since_idx on search_words (unused_since) where unused_since is not null`,
  `create index posts_unfolded_idx on posts (id) where search_fold is distinct from 1`,
];
