'use strict';

const view = (except) => `
  create view shown_notifications as
    select n.* from notifications n
    where ${except} not exists (
      select from notification_removals r where r.thread_id = n.thread_id and n.id <= r.up_to_id);`;

const kinds = (...names) => `
  alter table notifications drop constraint notifications_kind_check;
  alter table notifications add constraint notifications_kind_check
    check (kind in (${names.map((name) => `'${name}'`).join(', ')})) not valid;`;

const OTHERS = ['reply', 'mention', 'follow', 'votes'];

/**
 * Notifications of what moderators did: with the act and its reason, and without who did it. They outlive what they
 * are about: the removal of a thread does not hide that it was removed.
 */
module.exports = {
  async up({ sequelize }) {
    // One string is one transaction also where each statement of a migration has its own.
    await sequelize.query(`
      alter table notifications add column act text, add column reason text;
      alter table notifications add constraint notifications_act_check
        check ((kind = 'moderation') = (act is not null)) not valid;
      ${kinds(...OTHERS, 'moderation')}
      drop view shown_notifications;
      ${view(`n.kind = 'moderation' or`)}
    `);
    await sequelize.query(`
      alter table notifications validate constraint notifications_act_check;
      alter table notifications validate constraint notifications_kind_check;
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      drop view shown_notifications;
      delete from event_outbox o where o.entity_type = 'notification'
        and o.entity_id in (select n.id from notifications n where n.kind = 'moderation');
      delete from notifications where kind = 'moderation';
      alter table notifications drop constraint notifications_act_check;
      ${kinds(...OTHERS)}
      alter table notifications drop column act, drop column reason;
      ${view('')}
    `);
    await sequelize.query('alter table notifications validate constraint notifications_kind_check');
  },
};
