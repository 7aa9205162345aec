-- version 1 sha256:ad03bbf9f8663ba1
-- A reply has no title and is never a draft; nodes of the version before take it for a post that may have both. Their
-- client tries again, at a node of this version: SQLSTATE 55P03 is answered with 503.
create or replace function refuse_reply_of_version_before() returns trigger
language plpgsql as $$
begin
  raise exception 'a reply has no title and is never a draft' using errcode = '55P03';
end
$$;
