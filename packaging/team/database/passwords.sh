#!/bin/sh
# Make the passwords of the database's owner and of the server's role, unless they are there.
#
# The server reads a passfile of libpq, which must be its own and closed to others; PostgreSQL's entry point reads
# both passwords when it makes the database. 10001 is the user of the Dockerfile, `postgres` that of this image.
set -eu
umask 077
owner=${OWNER_FOLDER:-/secrets/owner}
server=${SERVER_FOLDER:-/secrets/server}

make_password() {
    od -An -N 32 -t x1 /dev/urandom | tr -d ' \n'
}

if [ ! -s "$owner/password" ]; then
    make_password > "$owner/password.new"
    chown postgres "$owner" "$owner/password.new"
    mv "$owner/password.new" "$owner/password"
fi
if [ ! -s "$server/pgpass" ]; then
    password=$(make_password)
    printf '%s' "$password" > "$server/password.new"
    printf '*:*:*:sediment:%s\n' "$password" > "$server/pgpass.new"
    chown postgres "$server/password.new"
    chown 10001:10001 "$server/pgpass.new"
    chmod 755 "$server" # both readers look in here; the files are closed
    mv "$server/password.new" "$server/password"
    mv "$server/pgpass.new" "$server/pgpass"
fi
