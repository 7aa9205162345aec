'use strict';

module.exports = {
  'node-option': ['import=tsx'],
  // In place of `spec`, which would be added to the files named on the command line: `npx mocha test/votes.test.ts` runs that one.
  extension: ['test.ts'],
  recursive: true,
  require: ['./test/support/postgres.ts'],
  // A run that does not end by itself has leaked a pool, a socket or a timer.
  exit: false,
  timeout: 20_000,
  slow: 2_000,
  forbidOnly: Boolean(process.env.CI),
};
