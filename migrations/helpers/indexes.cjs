'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

/**
 * How long `makeConcurrently` waits for each of the transactions that began before it, as of a long backup. Only
 * migrations of other nodes wait for it meanwhile. Milliseconds.
 */
const PATIENCE = 600_000;

/** How often to look whether an index is still being made. Milliseconds. */
const INTERVAL = 500;

/**
 * Waits while a process of the server makes an index of this name, or one that has no name yet: it goes on when its client was
 * ended, until it notices.
 */
async function whileMade(sequelize, index) {
  for (;;) {
    const [[{ made }]] = await sequelize.query(`
      select exists (select from pg_stat_progress_create_index p where p.datname = current_database()
                     and p.index_relid in (0, to_regclass('${index}')::oid)) as made`);
    if (!made) return;
    await sleep(INTERVAL);
  }
}

/** @returns null if there is none */
async function isValid(sequelize, index) {
  const [[{ valid }]] = await sequelize.query(`
    select (select i.indisvalid from pg_index i where i.indexrelid = to_regclass('${index}')) as valid`);
  return valid;
}

/**
 * Makes those indexes that are missing while their tables are written: for `prepare`, outside a transaction.
 * @param indexes name → table and columns: `posts (root_id, id) where root_id is not null`
 */
exports.makeConcurrently = async (sequelize, indexes) => {
  const [[{ limit }]] = await sequelize.query(`select current_setting('lock_timeout') as limit`);
  for (const [index, on] of Object.entries(indexes)) {
    await whileMade(sequelize, index);
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
};

exports.isValid = isValid;

/** The statements that make those that are still missing, as with sequelize-cli, which knows no `prepare`. For `up`. */
exports.makeMissing = async (sequelize, indexes) => {
  const statements = [];
  for (const [index, on] of Object.entries(indexes))
    if (!(await isValid(sequelize, index)))
      statements.push(`drop index if exists ${index}; create index ${index} on ${on};`);
  return statements.join('\n');
};
