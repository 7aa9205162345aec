'use strict';

/**
 * How lists find posts that are no replies, replies of a thread by their votes, and threads that are to be taken away. Additive: nodes
 * of the version before write no replies, and the column that they do not know stays null.
 */
const COLUMNS = 'alter table post_tallies add column if not exists root_id bigint';

const INDEXES = {
  posts_top_level_idx: 'posts (listed_at desc, id desc) where parent_id is null',
  posts_owner_top_level_idx: 'posts (owner_id, listed_at desc, id desc) where parent_id is null',
  posts_deleted_idx: 'posts (id) where deleted_at is not null and parent_id is null',
  post_tallies_top_level_top_idx: 'post_tallies (votes desc, post_id desc) where root_id is null',
  post_tallies_top_level_hot_idx: 'post_tallies (hot desc, post_id desc) where root_id is null',
  post_tallies_thread_idx: 'post_tallies (root_id, votes desc, post_id desc) where root_id is not null',
};

/**
 * How long `prepare` waits for each of the transactions that began before it, as of a long backup. Nobody but the migration of
 * other nodes waits for it meanwhile. Milliseconds.
 */
const PATIENCE = 600_000;

/** @returns null if there is none */
async function isValid(sequelize, index) {
  const [[{ valid }]] = await sequelize.query(`
    select (select i.indisvalid from pg_index i where i.indexrelid = to_regclass('${index}')) as valid`);
  return valid;
}

module.exports = {
  /** Without a transaction, so that posts are written and voted for meanwhile. */
  async prepare({ sequelize }) {
    await sequelize.query(COLUMNS);
    const [[{ limit }]] = await sequelize.query(`select current_setting('lock_timeout') as limit`);
    for (const [index, on] of Object.entries(INDEXES)) {
      const valid = await isValid(sequelize, index);
      if (valid) continue;
      await sequelize.query(`set lock_timeout = ${PATIENCE}`);
      try {
        // What a try that was ended has left.
        if (valid === false) await sequelize.query(`drop index concurrently ${index}`);
        await sequelize.query(`create index concurrently ${index} on ${on}`);
      } finally {
        await sequelize.query(`set lock_timeout = '${limit}'`);
      }
    }
  },

  async up({ sequelize }) {
    const missing = [];
    for (const [index, on] of Object.entries(INDEXES))
      if (!(await isValid(sequelize, index)))
        missing.push(`drop index if exists ${index}; create index ${index} on ${on};`);
    // One string is one transaction also where each statement of a migration has its own.
    await sequelize.query(`${COLUMNS};\n${missing.join('\n')}`);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      ${Object.keys(INDEXES)
        .map((index) => `drop index ${index};`)
        .join('\n')}
      alter table post_tallies drop column root_id;
    `);
  },
};
