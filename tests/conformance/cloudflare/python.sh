#!/usr/bin/env bash
# Runs a Python script with Cloudflare's SDK of requirements.txt:  python.sh SCRIPT [ARGUMENT...]
#
# The SDK lives in a virtual environment in Weir's cache, outside the repository. It is made on the first run and made
# anew when requirements.txt has changed; two runs at the same time wait for each other.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}/conformance"
environment="$cache/cloudflare-python"
stamp="$environment/requirements.txt"

say() { printf 'conformance: %s\n' "$*" >&2; }

make_environment() {
  command -v python3 >/dev/null || { say "MISSING: python3 is not on PATH: Cloudflare's SDK cannot be run"; exit 3; }
  say "fetching $(grep ^cloudflare "$here/requirements.txt") into $environment"
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
  # Last, so that an environment that is half made is made again.
  cp "$here/requirements.txt" "$stamp"
}

mkdir -p "$cache"
(
  if command -v flock >/dev/null; then flock 9; fi
  cmp --quiet "$here/requirements.txt" "$stamp" || make_environment
) 9>"$cache/.cloudflare-python.lock"
exec "$environment/bin/python" "$@"
