'use strict';

module.exports = {
  'node-option': ['import=tsx'],
  // In place of `spec`, which would be added to the files named on the command line: `npx mocha test/votes.test.ts` runs that one.
  extension: ['test.ts'],
  recursive: true,
  // In this order: what fails in a hook keeps the hooks after it from running, and the server is to be stopped.
  require: ['postgres', 'unhandled', 'held-frames', 'held-log'].map((name) => `./test/support/${name}.ts`),
  // A run that does not end by itself has leaked a pool, a socket or a timer.
  exit: false,
  // What hangs is found; how fast something is no test judges by it, on however slow a machine.
  timeout: 180_000,
  slow: 2_000,
  // The spec report, and a last line that counts.
  reporter: './test/support/reporter.cjs',
  failZero: true,
  forbidOnly: Boolean(process.env.CI),
};
