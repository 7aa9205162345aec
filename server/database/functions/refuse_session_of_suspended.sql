-- version 1 sha256:b9b5bf70c4e0c503
-- Nodes of earlier versions know of no suspension, and would let a suspended user log in: they are refused, with an error
-- that they answer with 503. This version looks before it begins a session.
create or replace function refuse_session_of_suspended() returns trigger
language plpgsql set search_path from current as $$
begin
  if exists (select from users u where u.id = new.user_id and u.suspended_until > clock_timestamp()) then
    raise exception 'the user is suspended' using errcode = '55P03';
  end if;
  return new;
end
$$;
