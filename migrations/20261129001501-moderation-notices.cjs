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
    // One string is one transaction also where each statement of a migration has its own. The rows are checked by
    // 20261129001503-moderation-notices-checks.
    await sequelize.query(`
      alter table notifications add column act text, add column reason text;
      alter table notifications add constraint notifications_act_check
        check ((kind = 'moderation') = (act is not null)) not valid;
      ${kinds(...OTHERS, 'moderation')}
      drop view shown_notifications;
      ${view(`n.kind = 'moderation' or`)}
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      delete from event_outbox o where o.entity_type = 'notification'
        and o.entity_id in (select n.id from notifications n where n.kind = 'moderation');
      -- How many others are unread is told: the page shows it.
      do $$
      declare
        readers bigint[];
      begin
        with gone as (
          delete from notifications where kind = 'moderation' returning user_id, read_at
        )
        select coalesce(array_agg(distinct g.user_id) filter (where g.read_at is null), '{}') into readers from gone g;
        perform lock_notifications(readers);
        perform tell_notification_state(readers);
      end
      $$;
      drop view shown_notifications;
      alter table notifications drop constraint notifications_act_check;
      ${kinds(...OTHERS)}
      alter table notifications drop column act, drop column reason;
      alter table notifications validate constraint notifications_kind_check;
      ${view('')}
    `);
  },
};
