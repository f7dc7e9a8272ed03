#!/bin/sh
# Runs a command with secrets that are files: what DAGSTER_PG_PASSWORD_FILE names becomes DAGSTER_PG_PASSWORD.
set -eu
if [ -n "${DAGSTER_PG_PASSWORD_FILE:-}" ]; then
    DAGSTER_PG_PASSWORD=$(cat "$DAGSTER_PG_PASSWORD_FILE")
    export DAGSTER_PG_PASSWORD
    unset DAGSTER_PG_PASSWORD_FILE
fi
exec "$@"
