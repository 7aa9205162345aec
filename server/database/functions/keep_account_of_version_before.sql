-- version 4 sha256:79def0b089f05acf
-- A node of the version before deletes an account without its role, its relations, its mentions, its notifications and its
-- name in what others were told. The account stays while it has any of these, and with it the task, which a node of this
-- version takes up after some seconds (server/users/account-tasks.ts). Nobody sees anything of it meanwhile.
create or replace function keep_account_of_version_before() returns trigger
language plpgsql set search_path from current as $$
begin
  if exists (select from account_tasks a where a.user_id = old.id and a.kind = 'delete') and (
    old.role <> 'user'
    or exists (select from relations r where r.user_id = old.id or r.target_id = old.id)
    or exists (select from post_mentions m where m.user_id = old.id)
    or exists (select from notifications n where n.actor_id = old.id or n.user_id = old.id)
    or exists (select from event_topics t where t.topic = 'user:' || old.id)
    or exists (select from event_outbox o where o.audience = 'user:' || old.id)
    or not exists (select from event_redactions r where r.entity_type = 'account' and r.entity_id = old.id) and exists (
      select from event_log e
      where e.container_type = 'account' and e.container_id = old.id and e.redaction <> '{}'
        and e.data -> 'redacted' is null)
  ) then
    -- As if it had rested: that node would otherwise take it up again and again before another one does.
    update account_tasks a set worked_at = clock_timestamp() - interval '10 seconds' where a.user_id = old.id;
    return null;
  end if;
  return old;
end
$$;
