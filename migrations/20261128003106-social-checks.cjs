'use strict';

/**
 * Makes sure of the constraints that 20261128003101-social added without a look at the rows: writers go on meanwhile.
 * And gives the events of before their author, by whom they may be hidden and found, in pieces.
 */
const CONSTRAINTS = {
  posts: [
    'posts_parent_id_fkey',
    'posts_root_id_fkey',
    'posts_title_present_check',
    'posts_owner_present_check',
    'posts_thread_check',
    'posts_depth_check',
  ],
  post_tallies: ['post_tallies_replies_check'],
};

/** Events that get their author in one statement. */
const PIECE = 5000;

async function complete(sequelize) {
  for (const [table, names] of Object.entries(CONSTRAINTS))
    for (const name of names) await sequelize.query(`alter table ${table} validate constraint ${name}`);
  const [[{ first, last }]] = await sequelize.query(
    'select coalesce(min(seq), 1)::float8 as first, coalesce(max(seq), 0)::float8 as last from event_log',
  );
  for (let from = first; from <= last; from += PIECE)
    await sequelize.query(`
      update event_log set author_id = (data ->> 'owner_id')::bigint
      where seq >= ${from} and seq < ${from + PIECE} and author_id is null and entity_type = 'post'
        and data -> 'owner_id' is not null`);
}

module.exports = {
  /** Without a transaction: no row is held for longer than its piece takes. */
  async prepare({ sequelize }) {
    await complete(sequelize);
  },

  async up({ sequelize }) {
    await complete(sequelize);
  },

  async down() {
    // The columns and the constraints go with 20261128003101-social.
  },
};
