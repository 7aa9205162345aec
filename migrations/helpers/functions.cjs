'use strict';

const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

/**
 * Makes those of the SQL functions that are missing, from their files: what a migration's triggers and indexes call.
 * The service's runner has made them before; sequelize-cli knows nothing of them.
 */
exports.makeMissingFunctions = async (sequelize, functions) => {
  const [rows] = await sequelize.query(
    'select proname as name from pg_proc where pronamespace = current_schema()::regnamespace',
  );
  const made = rows.map(({ name }) => name);
  for (const name of functions.filter((one) => !made.includes(one))) {
    const file = ['../../server', '../../dist/server']
      .map((folder) => join(__dirname, folder, `database/functions/${name}.sql`))
      .find(existsSync);
    await sequelize.query(readFileSync(file, 'utf8'));
  }
};
