'use strict';

/** Which mails the mail server has refused for good, so that the doctor tells of them. */
module.exports = {
  async up({ sequelize }) {
    await sequelize.query('alter table mails add column refused boolean not null default false');
  },

  async down({ sequelize }) {
    await sequelize.query('alter table mails drop column refused');
  },
};
