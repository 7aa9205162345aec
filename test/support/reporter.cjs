'use strict';
const { reporters } = require('mocha');

/**
 * Mocha's spec report, and after it one plain line in a form that any script can read: `12 passed, 0 failed`. It is
 * said of what ran, from Mocha's own count; a hook that failed is a failure.
 */
module.exports = class Reporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    // Registered after the parent's own listener, which prints the summary and the failures.
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      const skipped = pending > 0 ? `, ${pending} skipped` : '';
      reporters.Base.consoleLog(`${passes} passed, ${failures} failed${skipped}`);
    });
  }
};
