#!/usr/bin/env bash
# Serves MLflow to a team, with logins, until Ctrl-C: runs in PostgreSQL, their files in a folder.
#
# Usage: docs/team/serve.sh   (or: make team)
#
#   PORT=5000     where it listens on 127.0.0.1
#   TEAM=.team    where all that it keeps lies; a second start goes on with it
#   MLFLOW_AUTH_ADMIN_PASSWORD   the first password of the user admin; by default one is made
#
# Examples:
#   make team
#   make team PORT=5001 TEAM=/srv/unroll
#   MLFLOW_AUTH_ADMIN_PASSWORD=$(pass show mlflow) docs/team/serve.sh
# shellcheck disable=SC2317  # what ends the servers is called by a trap
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
PORT=${PORT:-5000}
TEAM=${TEAM:-$HERE/../../.team}
ADDRESS=http://127.0.0.1:$PORT
PATIENCE=120  # seconds in which a server must answer
PATH=$HERE/../../.venv/bin:$PATH

# PostgreSQL does not run as root: then it gets the user that Debian's package has made for it. It
# ends with this script, also after kill -9.
AS_DATABASE=(setpriv --pdeathsig INT)
[ "$(id -u)" != 0 ] || AS_DATABASE+=(--reuid=postgres --regid=postgres --init-groups)

main() {
  case ${1:-} in
    "") ;;
    -h | --help) sed -n '/^# /!{/^#$/!{1d;q}}; s/^# \{0,1\}//p' "$0"; exit ;;
    *) fail "$1: serve.sh takes no arguments, but variables; see $0 --help" ;;
  esac
  look_for_what_it_needs
  open_folder
  trap stop EXIT
  trap 'exit 0' INT TERM HUP
  start_database
  choose_password
  start_mlflow
  tell
  wait -n "$database" "$mlflow" || true
  fail "a server has ended by itself; why stands at the end of $TEAM/postgresql.log or mlflow.log"
}

fail() {
  echo "error: $*" >&2
  exit 1
}

look_for_what_it_needs() {
  local version='*' package=postgresql found
  if [ -f "$TEAM/database/PG_VERSION" ]; then  # only the version that has made it can read it
    version=$(<"$TEAM/database/PG_VERSION")
    package=postgresql-$version
  fi
  # Debian keeps the programs of each version apart, and out of PATH; elsewhere they are in it.
  found=$(compgen -G "/usr/lib/postgresql/$version/bin/postgres" | sort -V | tail -n 1 ||
    command -v postgres || true)
  [ -n "$found" ] || fail "there is no PostgreSQL here that serves; Debian and Ubuntu:" \
    "apt-get install $package"
  PROGRAMS=$(dirname "$found")
  command -v mlflow >/dev/null || fail "there is no mlflow in PATH or .venv; type: make setup"
  python -c 'import flask_wtf, psycopg' 2>/dev/null ||
    fail "MLflow lacks parts that a team needs; type: pip install -e '.[team]' -c constraints.txt"
  ! (: <"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null ||
    fail "something listens on port $PORT already; choose another: PORT=$((PORT + 1))"
}

give_to_database() {
  [ "$(id -u)" != 0 ] || chown postgres:postgres "$1"
}

open_folder() {
  [ -d "$TEAM" ] || mkdir -p "$TEAM"
  TEAM=$(cd "$TEAM" && pwd)
  "${AS_DATABASE[@]}" test -x "$TEAM" || fail "the user postgres, as whom root starts PostgreSQL," \
    "may not enter $TEAM; choose a folder that it can reach, as TEAM=/srv/unroll"
  umask 077
  exec {lock}>"$TEAM/lock"
  flock --nonblock "$lock" || fail "$TEAM is served already, by another serve.sh"
  mkdir -p "$TEAM/artifacts"
}

start_database() {
  unset "${!PG@}"  # what is set for another database
  [ -d "$TEAM/database" ] || make_database
  # A folder of its own keeps others out, and its short path within what a socket's may be.
  PGHOST=$(mktemp -d /tmp/unroll-team.XXXXXX)
  export PGHOST
  give_to_database "$PGHOST"
  set -m  # a server is a group of its own: Ctrl-C reaches this script alone, which ends it
  "${AS_DATABASE[@]}" "$PROGRAMS/postgres" -D "$TEAM/database" -c listen_addresses= \
    -c unix_socket_directories="$PGHOST" >>"$TEAM/postgresql.log" 2>&1 {lock}>&- &
  database=$!
  set +m
  await "$database" "$PROGRAMS/pg_isready" --quiet ||
    fail "PostgreSQL does not start: $(tail -n 3 "$TEAM/postgresql.log")"
  for name in mlflow mlflow_auth; do
    [ -n "$(query postgres "SELECT 1 FROM pg_database WHERE datname = '$name'")" ] ||
      "$PROGRAMS/createdb" "$name"
  done
}

# Made under another name: it is whole or not there. Who calls this script, and nobody else, is
# known to the database, by the user of the operating system: no password to keep.
make_database() {
  echo "making a database in $TEAM/database"
  rm -rf "$TEAM/database.new"
  mkdir "$TEAM/database.new"
  give_to_database "$TEAM/database.new"
  "${AS_DATABASE[@]}" "$PROGRAMS/initdb" --pgdata="$TEAM/database.new" --username="$(id -un)" \
    --auth-local=peer --auth-host=reject --encoding=UTF8 --locale=C.UTF-8 \
    >>"$TEAM/postgresql.log" 2>&1 ||
    fail "initdb has failed: $(tail -n 3 "$TEAM/postgresql.log")"
  mv "$TEAM/database.new" "$TEAM/database"
}

query() {
  "$PROGRAMS/psql" --no-psqlrc --tuples-only --no-align --command "$2" "$1"
}

# MLflow takes a password for admin when it has none yet, and later ignores what it is given.
choose_password() {
  local kept=$TEAM/admin-password
  if [ -n "$(query mlflow_auth 'SELECT 1 FROM users WHERE is_admin' 2>/dev/null)" ]; then
    [ -z "${MLFLOW_AUTH_ADMIN_PASSWORD:-}" ] ||
      echo "MLFLOW_AUTH_ADMIN_PASSWORD is left aside: admin has a password already"
  elif [ -z "${MLFLOW_AUTH_ADMIN_PASSWORD:-}" ]; then
    [ -s "$kept" ] || secret >"$kept"
    MLFLOW_AUTH_ADMIN_PASSWORD=$(<"$kept")
  elif [ "${#MLFLOW_AUTH_ADMIN_PASSWORD}" -lt 12 ]; then
    fail "MLFLOW_AUTH_ADMIN_PASSWORD: MLflow takes passwords from 12 characters on"
  fi
  [ -s "$TEAM/secret-key" ] || secret >"$TEAM/secret-key"
  export MLFLOW_AUTH_ADMIN_PASSWORD=${MLFLOW_AUTH_ADMIN_PASSWORD:-}
}

secret() {
  python -c 'import secrets; print(secrets.token_urlsafe(24))'
}

start_mlflow() {
  echo "starting MLflow: some seconds, the first time some more"
  set -m
  MLFLOW_AUTH_CONFIG_PATH=$HERE/basic_auth.ini \
    MLFLOW_FLASK_SERVER_SECRET_KEY=$(<"$TEAM/secret-key") \
    MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    setpriv --pdeathsig TERM mlflow server --app-name basic-auth --workers 1 \
    --host 127.0.0.1 --port "$PORT" --backend-store-uri postgresql+psycopg:///mlflow \
    --artifacts-destination "$TEAM/artifacts" >>"$TEAM/mlflow.log" 2>&1 {lock}>&- &
  mlflow=$!
  set +m
  await "$mlflow" python -c 'import sys, urllib.request as web; web.urlopen(sys.argv[1], timeout=5)' \
    "$ADDRESS/health" || fail "MLflow does not start: $(tail -n 3 "$TEAM/mlflow.log")"
}

# Waits until a command succeeds; fails when the process is gone or the time is up.
await() {
  local process=$1 end=$((SECONDS + PATIENCE))
  shift
  until "$@" 2>/dev/null; do
    kill -0 "$process" 2>/dev/null && [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

tell() {
  local password="the password that it was given"
  [ ! -s "$TEAM/admin-password" ] || password="the password in $TEAM/admin-password"
  cat <<END

MLflow serves $ADDRESS to this machine alone; Ctrl-C ends it.
  log in     as admin, with $password
  a clone    export MLFLOW_TRACKING_URI=$ADDRESS
             export MLFLOW_TRACKING_USERNAME=admin MLFLOW_TRACKING_PASSWORD=...
             unroll track
  kept in    $TEAM, with postgresql.log and mlflow.log
  database   psql --host $PGHOST mlflow
Members, other machines and DVC remotes: docs/team/README.md

END
}

# MLflow first, so that it does not ask a database that is gone.
stop() {
  trap '' INT TERM HUP
  end TERM "${mlflow:-}"
  end INT "${database:-}"
  [ -z "${PGHOST:-}" ] || rm -rf "$PGHOST"
}

end() {
  [ -n "$2" ] || return 0
  kill -s "$1" -- "-$2" 2>/dev/null || true
  wait "$2" 2>/dev/null || true
}

main "$@"
