#!/bin/sh
# Make the role of the servers; PostgreSQL's entry point runs this once, when it makes the database.
#
# The role may do nothing but log in and own its tables: it is no superuser and cannot bypass row-level security, so
# that the policies of the tables, which are forced on their owner, too, hold for every statement of a server.
set -eu
password_file=${SERVER_FOLDER:-/secrets/server}/password

# The password goes in by a variable of psql, read from its file: an argument would stand in the list of processes.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" <<SQL
\set password \`cat '$password_file'\`
CREATE ROLE sediment LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
REVOKE ALL ON DATABASE "$POSTGRES_DB" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE "$POSTGRES_DB" TO sediment;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA sediment AUTHORIZATION sediment;
ALTER ROLE sediment IN DATABASE "$POSTGRES_DB" SET search_path = sediment;
SQL
