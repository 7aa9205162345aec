#!/bin/sh
# Run once by the image of PostgreSQL, when docker compose first makes the database: the nodes' role owns their database and
# is no superuser. The superuser keeps no password, so that it gets in only from inside this container:
#   docker compose exec postgres psql --username=postgres tidings
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
\getenv password SERVICE_PASSWORD
create role tidings login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
create database tidings owner tidings;
revoke all on database tidings from public;
revoke all on database postgres from public;
\connect tidings
-- By it a node notices that it runs on a copy of the data.
grant execute on function pg_stat_file(text) to tidings;
alter role postgres password null;
SQL
