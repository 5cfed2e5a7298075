#!/usr/bin/env bash
# Runs a client with the packages that it is pinned to:
#
#   run.sh python FOLDER SCRIPT [ARGUMENT...]   the packages of FOLDER/requirements.txt
#   run.sh node   FOLDER SCRIPT [ARGUMENT...]   those of FOLDER/package.json and package-lock.json
#   run.sh go     FOLDER [ARGUMENT...]          the program in FOLDER, with what its go.mod and go.sum name
#
# What is fetched or built lives in Weir's cache, outside the repository: one environment per folder, so that two versions of a
# package are side by side. It is made on the first run and made anew when the files that pin it have changed; two runs at the
# same time wait for each other.
set -euo pipefail

language="$1"
folder="$(cd "$2" && pwd)"
shift 2
name="$(basename "$folder")"
case "$name" in "$language"-*) name="$(basename "$(dirname "$folder")")-$name" ;; *) name="$name-$language" ;; esac
cache="${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}/conformance"
environment="$cache/$name"

say() { printf 'conformance: %s\n' "$*" >&2; }

need() { command -v "$1" >/dev/null || { say "MISSING: $1 is not on PATH: what $folder needs cannot be run"; exit 3; }; }

# The files that pin an environment, or that it is built from.
pins() {
  case "$language" in
    python) echo "$folder/requirements.txt" ;;
    node) printf '%s\n' "$folder/package.json" "$folder/package-lock.json" ;;
    go) printf '%s\n' "$folder/go.mod" "$folder/go.sum" "$folder"/*.go ;;
    *) say "there are python, node and go, and no '$language'"; exit 2 ;;
  esac
}

make_python() {
  need python3
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$folder/requirements.txt" >&2
}

make_node() {
  need npm
  need node
  cp "$folder/package.json" "$folder/package-lock.json" "$environment/"
  # No package may run a script of its own here.
  (cd "$environment" && npm ci --no-audit --no-fund --ignore-scripts --silent >&2)
}

make_go() {
  need go
  (cd "$folder" && CGO_ENABLED=0 go build -trimpath -o "$environment/program" . >&2)
}

mkdir -p "$cache"
files="$(pins)"
(
  if command -v flock >/dev/null; then flock 9; fi
  # Compared by content, names included.
  stamp="$(while read -r file; do basename "$file"; cat "$file"; done <<<"$files")"
  if [ "$stamp" != "$(cat "$environment/.made-from" 2>/dev/null)" ]; then
    say "$language: making $environment from $folder"
    rm -rf "$environment"
    mkdir -p "$environment"
    begun=$SECONDS
    "make_$language"
    # Last, so that an environment that is half made is made again.
    printf '%s' "$stamp" >"$environment/.made-from"
    say "$language: made in $((SECONDS - begun)) s"
  fi
) 9>"$cache/.$name.lock"

case "$language" in
  python) exec "$environment/bin/python" "$@" ;;
  node) NODE_PATH="$environment/node_modules" exec node "$@" ;;
  go) exec "$environment/program" "$@" ;;
esac
