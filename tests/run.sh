#!/bin/bash
# Runs everything, from a bare Debian 12 machine to the last test: packages,
# build, unit tests, end-to-end tests over real processes, the demo. Its last
# line is `N passed, N failed, N skipped`; it exits with 0 only if none failed.
#
#   tests/run.sh           the above
#   tests/run.sh --quick   without the end-to-end tests and the demo
#   tests/run.sh --all     also the unit tests under ASan and UBSan, larger
#                          rounds of the end-to-end tests, ten thousand
#                          sessions, a kill at every commit, and what a hundred
#                          thousand idle rules cost
. "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/common.sh"

mode=${1:-}
if [[ $# -gt 1 || ! $mode =~ ^(--quick|--all)?$ ]]; then
  echo "usage: $0 [--quick|--all]" >&2
  exit 2
fi
begun_all=$EPOCHREALTIME
passed=0 failed=0 skipped=0

# Ends the run with the totals.
finish() {
  echo "All of it took $(seconds_since "$begun_all")"
  echo "$passed passed, $failed failed, $skipped skipped"
  exit "$((failed > 0))"
}

# prepare NAME COMMAND...: a stage that the rest cannot do without.
prepare() {
  stage "$@" || { failed=$((failed + 1)) && finish; }
}

# try NAME COMMAND...: a stage of tests. Its last counts are added up; a stage
# that does not count is one test.
try() {
  local counts='^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' status=0 line
  local before=$failed
  stage "$@" || status=$?
  if line=$(grep -E "$counts" "$WORK/$1.log" | tail -n 1); then
    echo "   $line"
    # shellcheck disable=SC2086  # Split on purpose.
    set -- $line
    passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
  elif [[ $status == 0 ]]; then
    passed=$((passed + 1))
  fi
  if [[ $status != 0 && $failed == "$before" ]]; then failed=$((failed + 1)); fi
}

build() {
  configure "$1" && cmake --build --preset "$1"
}

# unit_tests PRESET [ARGUMENT of ctest]...
unit_tests() {
  local results status=0
  results=$(mktemp -d -p "$WORK") && cd -- "$ROOT" || return
  GTEST_OUTPUT=xml:$results/ \
    ctest --preset "$@" --output-junit "$results/ctest.xml" || status=$?
  /usr/bin/python3 tests/count.py "$results" && return "$status"
}

# Those that have larger figures.
larger() {
  CRR_OVERLOAD_ALL=1 CRR_SWEEP_ALL=1 CRR_SIMULATION_SEEDS=1000 \
    unit_tests release --tests-regex '^(overload|kill_sweep|simulation)_'
}

# A folder with some of what makes trouble.
small_folder() {
  local folder="$WORK/a small folder" i
  mkdir -p -- "$folder/with space/deep/er" "$folder/ünïcode"
  for i in {1..200}; do
    echo "file $i" >"$folder/with space/file $i"
  done
  for i in {1..30}; do
    head -c "$((i * 10000))" /dev/urandom >"$folder/with space/deep/er/$i"
  done
  : >"$folder/ünïcode/empty 'file'"
  echo dash >"$folder/--dash"
  echo dollar >"$folder/\$HOME \"quoted\" * [x] \\"
  printf '%s' "$folder"
}

packages=(--with-promtool)
if [[ $mode == --all ]]; then packages+=(--with-sanitizers); fi
prepare packages "$ROOT/deploy/install-deps.sh" "${packages[@]}"
prepare build build release
try unit unit_tests release
if [[ $mode != --quick ]]; then
  try e2e /usr/bin/python3 "$ROOT/tests/e2e/run.py" "${mode:---usual}"
  try demo-small "$ROOT/deploy/demo.sh" "$(small_folder)"
  try demo "$ROOT/deploy/demo.sh"
fi
if [[ $mode == --all ]]; then
  prepare build-asan build asan
  # How much memory a server takes is no question for one with sanitizers.
  try unit-asan unit_tests asan --exclude-regex '^overload_'
  try unit-larger larger
  try idle "$ROOT/tests/bench/idle.py"
fi
finish
