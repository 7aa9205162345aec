-- version 1 sha256:8bfecf7a13ef9cb6
-- The payload of an event that was superseded: these fields are empty, if it has them.
create or replace function redacted(data json, fields text[]) returns json
language plpgsql immutable parallel safe as $$
declare
  emptied jsonb := data::jsonb;
  found boolean := false;
  field text;
begin
  foreach field in array fields loop
    if emptied #> string_to_array(field, '.') is not null then
      found := true;
      emptied := jsonb_set(emptied, string_to_array(field, '.'), '""', false);
    end if;
  end loop;
  return case when found then (emptied || '{"redacted": true}')::json else data end;
end
$$;

-- What nodes of the version before call.
create or replace function redacted(data json) returns json
language sql stable parallel safe as $$
  select (data::jsonb || jsonb_build_object(
    'title', '', 'content', '', 'redacted', true,
    'owner', jsonb_build_object('id', data -> 'owner' -> 'id', 'username', '')))::json
$$;
