'use strict';

/**
 * When an event was numbered, which may be long after it was written: its transaction may have waited. Its `horizon` is of
 * that moment, so whoever asks what had been told by then has to compare with it (server/counters/missed-tallies.ts).
 * Events that were there before count as numbered now: later than they were, so somebody is told rather more than missed.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      alter table events add column numbered_at timestamptz not null default now();
      alter table events alter column numbered_at set default clock_timestamp();
    `);
  },

  async down(queryInterface) {
    await queryInterface.removeColumn('events', 'numbered_at');
  },
};
