# What deploy/demo.sh and tests/run.sh share; to be sourced, once, at the top.
#
# ROOT is the tree, WORK a temporary folder. Every child runs in a process group
# of its own, and however the script ends, its children's groups end first, and
# WORK is removed. Nobody else's processes are touched.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C.UTF-8
# gRPC would send loopback addresses to a proxy, too.
no_proxy=127.0.0.1,localhost,${no_proxy:-${NO_PROXY:-}}
export no_proxy
unset CDPATH

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
WORK=$(mktemp -d -- "${TMPDIR:-/tmp}/crr-XXXXXXXX")
WORK=$(cd -- "$WORK" && pwd -P)
# What children leave behind goes with WORK.
export TMPDIR=$WORK
BIN=$ROOT/build/release/bin
# Where deploy/client.py keeps its stubs.
export CRR_STUBS=$WORK/stubs

children=()

# The newest first: clients take their leave of a server that is still there.
clean_up() {
  local status=$? i pid tries
  trap '' HUP INT TERM
  trap - EXIT
  for ((i = ${#children[@]} - 1; i >= 0; --i)); do
    pid=${children[i]}
    kill -TERM -- "-$pid" || continue
    for ((tries = 0; tries < 100; ++tries)); do
      kill -0 -- "-$pid" || continue 2
      sleep 0.1
    done
    kill -KILL -- "-$pid" || true
  done
  wait
  rm -rf -- "$WORK"
  exit "$status"
} 2>/dev/null
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# spawn COMMAND...: starts it in a process group of its own; its id is $!.
spawn() {
  set -m
  "$@" &
  set +m
  children+=($!)
}

# attend: waits for the newest child and returns its status.
attend() {
  local status=0
  wait "${children[-1]}" || status=$?
  unset "children[-1]"
  return "$status"
}

# run COMMAND...: as if called plainly, but a signal ends the wait at once.
run() {
  spawn "$@" </dev/null
  attend
}

# serve NAME COMMAND...: starts a program that runs until the script ends, even
# if that is killed, and waits for its ready line. READY is what the line says
# behind "ready".
serve() {
  local name=$1 out=$WORK/$1.out log=$WORK/$1.log pid line tries
  shift
  spawn setpriv --pdeathsig TERM "$@" >"$out" 2>"$log" </dev/null
  pid=$!
  for ((tries = 0; tries < 200; ++tries)); do
    if line=$(grep -m 1 ' ready' "$out"); then
      READY=${line#* ready}
      READY=${READY# on }
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "$name did not become ready:" >&2
  cat -- "$out" "$log" >&2
  return 1
}

# Seconds with a tenth since a value of $EPOCHREALTIME.
seconds_since() {
  local us=$((${EPOCHREALTIME/./} - ${1/./}))
  echo "$((us / 1000000)).$((us / 100000 % 10)) s"
}

# stage NAME COMMAND...: runs it with its output in WORK/NAME.log, tells its last
# line every 10 seconds, and how long it took. Shows the log when it fails.
stage() {
  local name=$1 log=$WORK/$1.log begun=$EPOCHREALTIME told=$SECONDS pid status=0
  shift
  echo "== $name"
  spawn "$@" >"$log" 2>&1 </dev/null
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    if ((SECONDS - told >= 10)); then
      told=$SECONDS
      echo "   $(seconds_since "$begun"): $(tail -n 1 -- "$log" | cut -c 1-100)"
    fi
  done
  attend || status=$?
  if [[ $status == 0 ]]; then
    echo "   $name took $(seconds_since "$begun")"
  else
    tail -n 300 -- "$log"
    echo "   $name FAILED after $(seconds_since "$begun")"
  fi
  return "$status"
}

# configure PRESET: configures the build. Warnings are errors where the compilers
# are those that the code was checked with. One set of options for the demo and
# the tests: with two they would throw out each other's objects.
configure() {
  local strict=OFF
  grep -qsx 'VERSION_CODENAME=bookworm' /etc/os-release && strict=ON
  cd -- "$ROOT"
  cmake --preset "$1" -DCRR_WERROR="$strict"
}

# ccache needs a folder to write to; without one it would fail each compilation.
if [[ -z ${CCACHE_DIR:-} && ! -w ${HOME:-/nonexistent} ]]; then
  export CCACHE_DISABLE=1
fi
