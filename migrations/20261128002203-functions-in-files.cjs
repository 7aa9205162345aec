'use strict';

/**
 * From here on functions are made from the files of server/database/functions, by the runner that runs migrations: a migration
 * changes tables alone. What the migrations until here have made is kept, so that it can be put back for the version before,
 * whose migrations take it away.
 */
const MADE_BEFORE = [
  ...['append_events', 'append_for_version_before', 'cast_votes', 'create_posts', 'database_fingerprint'],
  ...[
    'feed_head_is_own',
    'feed_head_written',
    'find_posts',
    'forget_account_keys',
    'forget_fold',
    'hot_rank',
  ],
  ...['keep_first_publication', 'keep_usernames', 'number_events', 'open_feed', 'redacted', 'search_blocks'],
  ...['search_candidates', 'search_page', 'search_posts', 'write_posts'],
];

module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      create table former_functions (
        signature text primary key,
        definition text not null
      );
      insert into former_functions (signature, definition)
      select p.oid::regprocedure::text, pg_get_functiondef(p.oid) from pg_proc p
      where p.pronamespace = current_schema()::regnamespace and p.proname in ('${MADE_BEFORE.join("', '")}');
    `);
  },

  async down({ sequelize }) {
    // A function that calls another may be made before it.
    await sequelize.query(`
      set local check_function_bodies = off;
      do $$
      declare
        made record;
      begin
        for made in
          select p.oid::regprocedure as signature from pg_proc p
          where p.pronamespace = current_schema()::regnamespace
            and obj_description(p.oid, 'pg_proc') like 'tidings version=%'
            and p.oid::regprocedure::text not in (select f.signature from former_functions f)
        loop
          execute format('drop routine %s', made.signature);
        end loop;
        for made in select f.signature, f.definition from former_functions f loop
          begin
            execute made.definition;
          exception when invalid_function_definition then
            -- It takes or gives something under another name now.
            execute format('drop routine %s', made.signature);
            execute made.definition;
          end;
          execute format('comment on routine %s is null', made.signature);
        end loop;
      end
      $$;
      drop table former_functions;
    `);
  },
};
