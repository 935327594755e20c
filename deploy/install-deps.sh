#!/bin/bash
# Installs the Debian packages that crr is built, tested and shown with, as far
# as they are missing; without any missing it calls nothing and needs no rights.
#
#   deploy/install-deps.sh [--with-promtool] [--with-sanitizers]
set -euo pipefail
export LC_ALL=C.UTF-8

# Package, and why. What these need in turn is apt's business.
packages() {
  cat <<'LIST'
build-essential                   g++, make and the headers of the C library
ccache                            a second build from the same sources takes seconds
cmake                             configures the build, runs the tests
golang-github-gogo-googleapis-dev google/rpc/*.proto
grpc-proto                        grpc/health and grpc/reflection protos
libabsl-dev                       the base library
libgmock-dev                      matchers of the tests
libgoogle-common-protos-java      google/api/*.proto, in a jar
libgrpc++-dev                     RPCs
libgtest-dev                      the tests
libprotobuf-dev                   messages
libspdlog-dev                     logs
libsqlite3-dev                    the database
libxxhash-dev                     checksums
ninja-build                       builds
pkg-config                        finds xxHash
prometheus-cpp-dev                metrics
protobuf-compiler                 protoc
protobuf-compiler-grpc            its plugins for C++ and Python
python3                           the client of the demo, the end-to-end tests
python3-grpcio                    the same
python3-protobuf                  the same
LIST
  if [[ " $* " == *" --with-promtool "* ]]; then
    cat <<'LIST'
prometheus                        promtool, which tests the alert rules
LIST
  fi
  if [[ " $* " == *" --with-sanitizers "* ]]; then
    cat <<'LIST'
clang                             compiles the asan preset
libclang-rt-14-dev                its sanitizers
LIST
  fi
}

for option; do
  if [[ ! $option =~ ^--with-(promtool|sanitizers)$ ]]; then
    echo "usage: $0 [--with-promtool] [--with-sanitizers]" >&2
    exit 2
  fi
done

distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${VERSION_ID:-}" ||
  true)
if [[ $distribution != "debian 12" ]]; then
  echo "This is ${distribution:-an unknown system}; crr is made for Debian 12." \
    "Going on."
fi

wanted=$(packages "$@" | cut -d' ' -f1)
# shellcheck disable=SC2086  # A list of words.
present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted \
  2>/dev/null | sed -n 's/^installed //p' || true)
missing=$(comm -23 <(sort <<<"$wanted") <(sort <<<"$present"))
if [[ -z $missing ]]; then
  echo "All $(wc -l <<<"$wanted") packages are installed."
  exit 0
fi
# shellcheck disable=SC2086
set -- $missing
echo "Missing: $*"

root=()
if [[ $EUID != 0 ]]; then
  if ! sudo -n true 2>/dev/null; then
    echo "Run this as root, then start again:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends $*" >&2
    exit 1
  fi
  root=(sudo -n)
fi
apt_get() {
  # By name, for sudo drops the environment.
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
    ${http_proxy:+"http_proxy=$http_proxy"} apt-get -q "$@" </dev/null
}
apt_get update
apt_get install -y --no-install-recommends "$@"
# Debian's package starts a service as well, which nobody asked for here.
if [[ " $* " == *" prometheus "* && -d /run/systemd/system ]]; then
  "${root[@]}" systemctl disable --now prometheus prometheus-node-exporter \
    2>/dev/null || true
fi
