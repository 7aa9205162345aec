'use strict';

/**
 * What users say of themselves, and how lists of follows, blocks and mutes are read. Nodes of the version before leave
 * the text alone.
 */
const BIO = `
  alter table users add column if not exists bio text not null default '';
  do $$
  begin
    if not exists (select from pg_constraint where conname = 'users_bio_check' and conrelid = 'users'::regclass) then
      alter table users add constraint users_bio_check check (char_length(bio) <= 500) not valid;
    end if;
  end
  $$;`;

module.exports = {
  /** Without a transaction: users are written while the constraint is checked. */
  async prepare({ sequelize }) {
    await sequelize.query(BIO);
    await sequelize.query('alter table users validate constraint users_bio_check');
  },

  async up({ sequelize }) {
    await sequelize.query(`
      ${BIO}
      alter table users validate constraint users_bio_check;
      create index relations_listed_idx on relations (user_id, kind, created_at desc, target_id desc);
      create index relations_target_listed_idx on relations (target_id, kind, created_at desc, user_id desc);
    `);
  },

  async down({ sequelize }) {
    await sequelize.query(`
      drop index relations_target_listed_idx;
      drop index relations_listed_idx;
      alter table users drop column bio;
    `);
  },
};
