#!/usr/bin/env bash
# Runs a Python script with the packages of the requirements.txt beside it:  python.sh SCRIPT [ARGUMENT...]
#
# The packages live in a virtual environment in Weir's cache, outside the repository: one per folder of scripts. It is made
# on the first run and made anew when requirements.txt has changed; two runs at the same time wait for each other.
set -euo pipefail

folder="$(cd "$(dirname "$1")" && pwd)"
name="$(basename "$folder")"
cache="${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}/conformance"
environment="$cache/$name-python"
stamp="$environment/requirements.txt"

say() { printf 'conformance: %s\n' "$*" >&2; }

make_environment() {
  command -v python3 >/dev/null || { say "MISSING: python3 is not on PATH: what $folder needs cannot be run"; exit 3; }
  say "fetching the packages of $folder/requirements.txt into $environment"
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$folder/requirements.txt" >&2
  # Last, so that an environment that is half made is made again.
  cp "$folder/requirements.txt" "$stamp"
}

mkdir -p "$cache"
(
  if command -v flock >/dev/null; then flock 9; fi
  cmp --quiet "$folder/requirements.txt" "$stamp" || make_environment
) 9>"$cache/.$name-python.lock"
exec "$environment/bin/python" "$@"
