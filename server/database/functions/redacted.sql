-- version 3 sha256:132b447def5f8c0b
-- The payload of an event that was superseded: these fields, if it has them, are empty texts or lists. What is null
-- stays so.
create or replace function redacted(data json, fields text[]) returns json
language plpgsql immutable parallel safe as $$
declare
  emptied jsonb := data::jsonb;
  found boolean := false;
  field text;
  empty jsonb;
begin
  foreach field in array fields loop
    if emptied #> string_to_array(field, '.') is not null then
      found := true;
      empty := case jsonb_typeof(emptied #> string_to_array(field, '.'))
        when 'array' then '[]'::jsonb when 'null' then 'null'::jsonb else '""'::jsonb end;
      emptied := jsonb_set(emptied, string_to_array(field, '.'), empty, false);
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
