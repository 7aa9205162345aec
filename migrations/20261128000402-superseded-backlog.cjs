'use strict';

/**
 * Has the versions that were superseded before 20261128000401 cut as well. They are found first, without a lock, so that
 * numbering waits only for the moment of the insert.
 */
module.exports = {
  async up(queryInterface) {
    // One string is one transaction also where each statement of a migration has its own, as with sequelize-cli.
    await queryInterface.sequelize.query(`
      create temporary table superseded on commit drop as
      select post_id, max(seq) as last_seq from events group by post_id having count(*) > 1;

      insert into redactions as r (post_id, next_seq, before_seq)
      select post_id, 0, last_seq from superseded order by post_id
      on conflict (post_id) do update set next_seq = 0, before_seq = greatest(r.before_seq, excluded.before_seq);
    `);
  },

  async down() {
    // What has been cut is gone.
  },
};
