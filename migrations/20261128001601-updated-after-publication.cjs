'use strict';

/**
 * A post that was published for the first time had been updated a few microseconds before that: the trigger reads the clock
 * after the statement has. In the answer that was a millisecond now and then.
 */
module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(
      keepFirstPublication('new.updated_at := greatest(new.updated_at, new.listed_at);'),
    );
  },

  async down(queryInterface) {
    await queryInterface.sequelize.query(keepFirstPublication(''));
  },
};

function keepFirstPublication(more) {
  return `
    create or replace function keep_first_publication() returns trigger
    language plpgsql as $$
    begin
      if old.published then
        new.was_published := true;
      else
        new.listed_at := case when old.was_published then old.listed_at else clock_timestamp() end;
        ${more}
      end if;
      return new;
    end
    $$;
  `;
}
