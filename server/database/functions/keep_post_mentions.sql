-- version 3 sha256:45fb460f8c8705c4
-- What finds posts by whom they mention follows the posts. A mention that stays is left alone: a row that is added
-- locks its user.
create or replace function keep_post_mentions() returns trigger
language plpgsql set search_path from current as $$
declare
  before bigint[] := '{}';
  after bigint[] := '{}';
begin
  if tg_op <> 'INSERT' then
    before := array(select distinct (m ->> 'id')::bigint from jsonb_array_elements(old.mentions) m);
  end if;
  if tg_op <> 'DELETE' then
    after := array(select distinct (m ->> 'id')::bigint from jsonb_array_elements(new.mentions) m);
  end if;
  if tg_op = 'DELETE' or not before <@ after then
    delete from post_mentions m where m.user_id = any (before) and m.user_id <> all (after) and m.post_id = old.id;
  end if;
  insert into post_mentions (user_id, post_id)
  select m.user_id, new.id from unnest(after) as m (user_id) where m.user_id <> all (before)
  order by m.user_id;
  return null;
end
$$;
