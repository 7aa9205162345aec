-- version 1 sha256:65156cfa140d71e4
-- What was done stays as it was written down.
create or replace function refuse_change_of_audit_log() returns trigger
language plpgsql as $$
begin
  raise exception 'the audit log is append-only' using errcode = '42501';
end
$$;
