'use strict';

/** Up to which event the transaction numbers in the log may be another cluster's: see `open_feed`. */
module.exports = {
  async up({ sequelize }) {
    await sequelize.query('alter table feed_head add column foreign_seq bigint not null default 0');
  },

  async down({ sequelize }) {
    await sequelize.query('alter table feed_head drop column foreign_seq');
  },
};
