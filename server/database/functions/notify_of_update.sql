-- version 2 sha256:1443cb1d6d75b11c
-- What an edit of a post, by a node of any version, does to notifications: a post that is published notifies those whom it
-- mentions, one that is withdrawn takes its notifications away, and of an edit only those are notified whom it newly
-- mentions. Who is no longer mentioned keeps what they have read. Posts from before there were mentions, which are
-- parsed for the first time, notify nobody.
create or replace function notify_of_update() returns trigger
language plpgsql set search_path from current as $$
declare
  before bigint[];
  after bigint[];
begin
  if new.published and not old.published then
    -- The service changes the tally behind this, and everyone locks it before the states of notifications.
    perform 1 from post_tallies t where t.post_id = new.id for no key update;
    perform notify_of_posts(array[new.id], null, '{}');
  elsif old.published and not new.published then
    perform forget_notifications(array[new.id]);
  elsif new.published and old.tags is not null then
    before := array(select (m ->> 'id')::bigint from jsonb_array_elements(old.mentions) m);
    after := array(select (m ->> 'id')::bigint from jsonb_array_elements(new.mentions) m);
    -- Both in one: the states of several users are locked in the order of their ids.
    perform notify_of_posts(
      array[new.id],
      array(select m.id from unnest(after) as m (id) where m.id <> all (before)),
      array(
        select n.id from notifications n
        where n.post_id = new.id and n.kind = 'mention' and n.read_at is null
          and n.user_id = any (before) and n.user_id <> all (after)));
  end if;
  return null;
end
$$;
