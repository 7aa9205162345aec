'use strict';

/**
 * A post stands in `sort=new` and `sort=hot` where its first publication put it, and says when that was. `listed_at` is that
 * moment for a post that is or was published, and for a draft the moment in which it was written; so a column that says
 * whether a post has been public before is all that was missing, and no row has to be rewritten.
 *
 * The trigger decides for nodes of the version before as well, which set `listed_at` at each publication and by their own
 * clock: the database's clock orders everything.
 */
const CREATED = `'","updated_at":"' || moment`;
const CREATED_AND_PUBLISHED = `'","published_at":' || coalesce('"' || case when a.published then moment end || '"', 'null') || ',"updated_at":"' || moment`;

/** The functions that write posts tell of them in JSON: each version of them that there is. */
async function rewordCreatePosts({ sequelize }, from, to) {
  const [functions] = await sequelize.query(`
    select pg_get_functiondef(p.oid) as definition from pg_proc p
    where p.proname = 'create_posts' and p.pronamespace = current_schema()::regnamespace`);
  for (const { definition } of functions) {
    if (definition.includes(to) && to.includes(from)) continue;
    if (!definition.includes(from)) throw new Error('create_posts is not as this migration knows it');
    await sequelize.query(
      definition.replaceAll(from, () => to),
      { raw: true },
    );
  }
}

module.exports = {
  async up(queryInterface) {
    await queryInterface.sequelize.query(`
      alter table posts add column was_published boolean not null default false;

      create function keep_first_publication() returns trigger
      language plpgsql as $$
      begin
        if old.published then
          new.was_published := true;
        else
          new.listed_at := case when old.was_published then old.listed_at else clock_timestamp() end;
        end if;
        return new;
      end
      $$;
      create trigger posts_first_publication before update of published on posts
        for each row when (old.published <> new.published)
        execute function keep_first_publication();

      -- A draft whose place has changed since it was written has been public.
      update posts set was_published = true where not published and listed_at <> created_at;
    `);
    await rewordCreatePosts(queryInterface, CREATED, CREATED_AND_PUBLISHED);
  },

  async down(queryInterface) {
    await rewordCreatePosts(queryInterface, CREATED_AND_PUBLISHED, CREATED);
    await queryInterface.sequelize.query(`
      drop trigger posts_first_publication on posts;
      drop function keep_first_publication();
      alter table posts drop column was_published;
    `);
  },
};
