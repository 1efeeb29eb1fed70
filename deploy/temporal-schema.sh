#!/bin/sh
# Creates Temporal's databases and brings their schemas up to date. Safe to repeat, and to run on an upgrade.
# Connection: SQL_PLUGIN SQL_HOST SQL_PORT SQL_USER SQL_PASSWORD, which temporal-sql-tool reads itself.
set -eu

schema() {
  export SQL_DATABASE="$1"
  temporal-sql-tool create-database
  temporal-sql-tool setup-schema --version 0.0
  temporal-sql-tool update-schema --schema-name "postgresql/v12/$2"
}

schema temporal temporal
schema temporal_visibility visibility
