#!/usr/bin/env bash
# Brings what Weir needs to run on one machine into a cache outside the repository:
#
#   provision.sh [TARGET...]      the default is `all`
#
#   tools   a C++ compiler, make and perl (librdkafka and its OpenSSL are built from source); installed with apt where that
#           is possible
#   chdb    the embedded ClickHouse engine, libchdb                        needs npm
#   nats    nats-server, unless a recent one is on PATH                    needs go
#   kafka   Apache Kafka as jars, and a check of java                      needs mvn, java 17
#   deny    cargo-deny, for `make lint`; compiles for some minutes         needs cargo
#   all     tools, chdb, nats and kafka
#
# The cache is ${WEIR_CACHE:-${XDG_CACHE_HOME:-~/.cache}/weir}, one folder per version, so that a finished target is
# found at once the next time. A target is built aside and moved into place whole: what is there is complete. Two runs
# at the same time wait for each other. Every version is pinned in versions.env.
#
# Exit code: 0 all there; 3 a tool of the machine is missing (each is named, the other targets were still done);
# anything else is a failure.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=versions.env
source "$here/versions.env"
cache="${WEIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir}"
missing=()

say() { printf 'provision: %s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# need TOOL TARGET WHY: is TOOL on PATH? If not, notes it loudly and returns false.
need() {
  command -v "$1" >/dev/null && return 0
  missing+=("$1: without it there is no $2 ($3)")
  say "MISSING: $1 is not on PATH: $2 cannot be provisioned ($3)"
  return 1
}

# version_at_least HAVE FLOOR
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Holds a target's lock until the subshell ends.
lock() {
  mkdir -p "$cache"
  command -v flock >/dev/null || return 0 # Not on macOS; the move into place is still atomic.
  exec 9>"$cache/.$1.lock"
  flock -n 9 || { say "$1: another run is at it; waiting"; flock 9; }
}

# A scratch folder on the cache's own filesystem, so that the move into place is a rename. Gone when the subshell ends;
# what a killed run left of this target goes now, as its lock is ours.
scratch() {
  mkdir -p "$cache/tmp"
  ! command -v flock >/dev/null || rm -rf "$cache/tmp/$1".*
  work="$(mktemp -d "$cache/tmp/$1.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
}

provision_tools() {
  local absent=()
  command -v c++ >/dev/null || absent+=(g++)
  command -v make >/dev/null || absent+=(make)
  # OpenSSL's build wants modules that the smallest perl of some systems lacks.
  perl -MIPC::Cmd -MFindBin -MFile::Compare -e 1 2>/dev/null || absent+=(perl)
  if [ "${#absent[@]}" -eq 0 ]; then
    say "tools: a C++ compiler, make and perl are there"
  elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "tools: installing ${absent[*]} with apt-get"
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "${absent[@]}" >/dev/null
  else
    local tool
    for tool in "${absent[@]}"; do
      missing+=("$tool: without it librdkafka, and so ingest, cannot be built")
      say "MISSING: $tool: install it (it builds librdkafka)"
    done
  fi
}

chdb_platform() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo linux-x64-gnu ;;
    Linux-aarch64) echo linux-arm64-gnu ;;
    Darwin-x86_64) echo darwin-x64 ;;
    Darwin-arm64) echo darwin-arm64 ;;
    *) fail "chdb: there is no libchdb for $(uname -s) on $(uname -m)" ;;
  esac
}

# The checksum of a file in the form that npm reports.
integrity_of() { node -e '
  const hash = require("crypto").createHash("sha512");
  require("fs").createReadStream(process.argv[1]).on("data", d => hash.update(d))
    .on("end", () => console.log("sha512-" + hash.digest("base64")));' "$1"; }

provision_chdb() {
  local target="$cache/chdb/$CHDB_VERSION"
  if [ -e "$target/libchdb.so" ]; then say "chdb: $CHDB_VERSION is there"; return; fi
  need npm "embedded ClickHouse" "it comes as an npm package" || return 0
  need node "embedded ClickHouse" "it checks the package" || return 0
  (
    lock chdb
    [ ! -e "$target/libchdb.so" ] || { say "chdb: $CHDB_VERSION is there now"; exit 0; }
    scratch chdb
    platform="$(chdb_platform)"
    package="@chdb/lib-$platform@$CHDB_VERSION"
    say "chdb: asking for the checksum of $package"
    expected="$(npm view --silent "$package" dist.integrity)"
    [ -n "$expected" ] || fail "chdb: the registry reports no checksum for $package"
    if [ "$platform" = linux-x64-gnu ] && [ "$expected" != "$CHDB_INTEGRITY_LINUX_X64" ]; then
      fail "chdb: the registry reports $expected, pinned is $CHDB_INTEGRITY_LINUX_X64"
    fi
    say "chdb: downloading $package (178 MB; half a minute to some minutes)"
    tarball="$work/$(npm pack --silent --pack-destination "$work" "$package")"
    actual="$(integrity_of "$tarball")"
    [ "$actual" = "$expected" ] || fail "chdb: the package has checksum $actual, expected $expected"
    say "chdb: the checksum is right; unpacking the library (566 MB)"
    member="$(tar -tzf "$tarball" | grep -E '(^|/)libchdb\.(so|dylib)$' | head -n 1)" || true
    [ -n "$member" ] || fail "chdb: the package holds no libchdb"
    tar -xzf "$tarball" -O "$member" >"$work/libchdb.so.part"
    mkdir -p "$target"
    mv "$work/libchdb.so.part" "$target/libchdb.so"
    say "chdb: $target/libchdb.so"
  )
}

provision_nats() {
  local on_path version
  if on_path="$(command -v nats-server)"; then
    version="$("$on_path" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)" || version=0
    if version_at_least "$version" "$NATS_VERSION_MIN"; then
      say "nats: $on_path is $version"
      return
    fi
    say "nats: $on_path is $version, older than $NATS_VERSION_MIN; not used"
  fi
  local target="$cache/nats/$NATS_VERSION"
  if [ -x "$target/nats-server" ]; then say "nats: $NATS_VERSION is there"; return; fi
  need go "nats-server" "it is built from its Go module" || return 0
  (
    lock nats
    [ ! -x "$target/nats-server" ] || { say "nats: $NATS_VERSION is there now"; exit 0; }
    scratch nats
    say "nats: building nats-server $NATS_VERSION from its Go module (about a minute)"
    GOBIN="$work" CGO_ENABLED=0 go install -trimpath "github.com/nats-io/nats-server/v2@v$NATS_VERSION" >&2
    mkdir -p "$target"
    mv "$work/nats-server" "$target/nats-server"
    say "nats: $target/nats-server"
  )
}

provision_kafka() {
  need java "Kafka" "the broker runs on Java 17 or later" || return 0
  local major
  major="$(java -XshowSettings:properties -version 2>&1 | sed -n 's/.*java\.specification\.version = //p')"
  if ! version_at_least "$major" 17; then
    missing+=("java 17: the one on PATH is $major; without it there is no Kafka")
    say "MISSING: java is version $major: Kafka needs 17 or later"
    return
  fi
  local target="$cache/kafka/$KAFKA_VERSION"
  # The pom is kept beside the jars: when it changes, they are stale.
  if cmp -s "$here/kafka/pom.xml" "$target/pom.xml"; then say "kafka: $KAFKA_VERSION is there"; return; fi
  need mvn "Kafka" "its jars come from Maven" || return 0
  (
    lock kafka
    ! cmp -s "$here/kafka/pom.xml" "$target/pom.xml" || { say "kafka: $KAFKA_VERSION is there now"; exit 0; }
    scratch kafka
    say "kafka: copying the jars of Apache Kafka $KAFKA_VERSION out of Maven (about 100 MB)"
    mkdir "$work/kafka"
    cp "$here/kafka/pom.xml" "$work/kafka/pom.xml"
    mvn -q -B -Dstyle.color=never -f "$work/kafka/pom.xml" "-Dkafka.version=$KAFKA_VERSION" dependency:copy-dependencies \
      -DincludeScope=runtime "-DoutputDirectory=$work/kafka/libs" >&2
    ls "$work/kafka/libs"/kafka_2.13-*.jar >/dev/null || fail "kafka: Maven gave no broker"
    mkdir -p "$(dirname "$target")"
    rm -rf "$target"
    mv "$work/kafka" "$target"
    say "kafka: $target/libs"
  )
}

provision_deny() {
  local target="$cache/cargo-deny/$CARGO_DENY_VERSION"
  if [ -x "$target/bin/cargo-deny" ]; then say "deny: cargo-deny $CARGO_DENY_VERSION is there"; return; fi
  need cargo "cargo-deny" "it is built from its crate" || return 0
  (
    lock deny
    [ ! -x "$target/bin/cargo-deny" ] || { say "deny: cargo-deny $CARGO_DENY_VERSION is there now"; exit 0; }
    scratch deny
    say "deny: building cargo-deny $CARGO_DENY_VERSION (some minutes)"
    # Not in the workspace, whose lints, toolchain file and target folder are not its business.
    cd "$work"
    CARGO_TARGET_DIR="$work/target" cargo install cargo-deny --quiet --locked --version "$CARGO_DENY_VERSION" \
      --root "$work/root" >&2
    mkdir -p "$(dirname "$target")"
    rm -rf "$target"
    mv "$work/root" "$target"
    say "deny: $target/bin/cargo-deny"
  )
}

main() {
  [ "$#" -gt 0 ] || set -- all
  local target
  for target in "$@"; do
    case "$target" in
      tools | chdb | nats | kafka | deny) "provision_$target" ;;
      all)
        provision_tools
        provision_chdb
        provision_nats
        provision_kafka
        ;;
      *) fail "unknown target '$target'; there are tools, chdb, nats, kafka, deny and all" ;;
    esac
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  say "NOT EVERYTHING IS THERE:"
  local what
  for what in "${missing[@]}"; do say "  - $what"; done
  return 3
}

main "$@"
