#!/bin/bash
# Two regions in step, shown on real files: builds crr as far as needed, starts
# it, replicates a folder from one region to the other, then creates, overwrites,
# deletes and moves files, and proves by reading every byte that folder, source
# and destination are equal. Exits with 0 only then.
#
#   deploy/demo.sh [DIR]
#
# Works on a copy of what can be read of DIR, which is never changed. Without DIR:
# 6,000 small files from /usr/share.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

if [[ $# -gt 1 || ! -d ${1:-/} ]]; then
  echo "usage: $0 [DIR], an existing folder" >&2
  exit 2
fi
begun_all=$EPOCHREALTIME
folder=$WORK/folder
rule=buckets/demo-source/rules/demo
# Prefix of what is created, in nobody's way.
made=crr-demo-$$

# step TITLE: begins a step, after telling how long the last one took.
begun_step=
step() {
  [[ -z $begun_step ]] || echo "   took $(seconds_since "$begun_step")"
  begun_step=$EPOCHREALTIME
  [[ $# == 0 ]] || echo "== $*"
}

# call SERVICE.METHOD JSON: one call; the answer does not matter, a refusal ends
# the script.
call() {
  run /usr/bin/python3 "$ROOT/deploy/client.py" "$CRR_SERVER" "$@" >/dev/null
}
crrctl() { run "$BIN/crrctl" "$@"; }

build_programs() {
  # A tree that somebody else built needs nothing and could not be written.
  if [[ -e $BIN/crrctl && ! -w $ROOT/build/release ]]; then return; fi
  configure release
  cmake --build --preset release \
    --target crr-server crr-copier crr-notifier crrctl
}

# copy_files DIR FILTER...: copies the regular files that find's filters let
# through, at most 6,000 when there are filters.
copy_files() {
  local dir=$1 last='$'
  shift
  [[ $# == 0 ]] || last=6000
  mkdir -- "$folder"
  # What cannot be read is left out, folders included.
  { find "$dir/" -type f -readable "$@" -printf '%P\0' 2>/dev/null || true; } |
    sort -z >"$WORK/found"
  # Keys are UTF-8, for a dot matches nothing else, of at most 1,024 bytes.
  grep -zx '.*' "$WORK/found" | LC_ALL=C grep -zxE '.{1,1024}' |
    sed -zn "1,${last}p" >"$WORK/taken" || true
  (cd -- "$dir" && xargs -0r -a "$WORK/taken" \
    cp --parents --no-preserve=mode --reflink=auto -t "$folder" --)
}

# prove A B TITLE: clears `equal` unless both hold as many files as the folder,
# byte for byte the same.
prove() {
  crrctl compare "$1" "$2" >"$WORK/compared" || equal=
  sed "s/^/   $3: /" "$WORK/compared"
  grep -q "^equal: $files objects," "$WORK/compared" || equal=
}

count_files() { find "$folder" -type f -printf x | wc -c; }

# each COMMAND...: runs COMMAND KEY for each NUL-ended key of the input.
each() {
  local key
  while IFS= read -r -d '' key; do "$@" "$key"; done
}

# One change each, to the folder and to the source bucket alike.
write_file() {
  mkdir -p -- "$(dirname -- "$folder/$1")"
  date +"%N changed $1" >"$folder/$1"
  crrctl -- object put demo-source "$1" "$folder/$1"
}
delete_file() {
  rm -- "$folder/$1"
  crrctl -- object rm demo-source "$1"
}
move_object() {
  crrctl -- object put demo-source "$to/$1" "$folder/$to/$1"
  crrctl -- object rm demo-source "$from/$1"
}

# The folder with the most files, up to 40; of a flat DIR, the one just made.
folder_to_move() {
  local key best=$made/new
  local -A count=()
  while IFS= read -r -d '' key; do
    while [[ $key == */* ]]; do
      key=${key%/*}
      count[$key]=$((${count[$key]:-0} + 1))
    done
  done < <(cd -- "$folder" && find . -type f -printf '%P\0')
  for key in "${!count[@]}"; do
    if ((${count[$key]} <= 40 && ${count[$key]} > ${count[$best]})); then
      best=$key
    fi
  done
  printf '%s' "$best"
}

stage packages "$ROOT/deploy/install-deps.sh"
stage build build_programs

step "Copying ${1:-files from /usr/share} to $folder"
if [[ $# == 1 ]]; then
  copy_files "$1"
else
  copy_files /usr/share -size -64k
fi
historical=$(count_files)
left_out=$(($(tr -dc '\0' <"$WORK/found" | wc -c) - historical))
echo "   $historical regular files, $(du -sh -- "$folder" | cut -f 1)"
if ((left_out > 0 && $# == 1)); then
  echo "   ($left_out more left out: their names are no UTF-8, or too long)"
fi
if ((historical < 5000)); then
  echo "   (fewer than the 5,000 that make a demonstration; going on)"
fi

step "Starting a server, and for two regions a notifier and two copiers"
mkdir -- "$WORK/hangzhou" "$WORK/shanghai"
serve crr-server "$BIN/crr-server" --listen=127.0.0.1:0 \
  --metrics_listen=127.0.0.1:0 \
  --storage="sqlite:$WORK/crr.db"
# Flags of all the others.
export CRR_SERVER=$READY CRR_LOCAL_ROOTS=$WORK
echo "   crr-server on $CRR_SERVER"
for region in hangzhou shanghai; do
  call RegionService.UpdateRegion "{\"region\": {
    \"name\": \"regions/oss-cn-$region\",
    \"store\": {\"local\": {\"root\": \"$WORK/$region\"}}}}"
  serve "notifier-$region" "$BIN/crr-notifier" \
    --id="notifier-$region" --region="oss-cn-$region"
  serve "copier-$region" "$BIN/crr-copier" \
    --id="copier-$region" --region="oss-cn-$region"
done

step "Registering buckets, filling the source"
for bucket in source:hangzhou destination:shanghai; do
  call BucketService.CreateBucket "{
    \"bucketId\": \"demo-${bucket%:*}\",
    \"bucket\": {\"region\": \"regions/oss-cn-${bucket#*:}\",
                 \"owner\": \"demo\"}}"
done
crrctl import demo-source "$folder"

step "Replicating what is there"
call ReplicationService.CreateRule '{
  "parent": "buckets/demo-source", "ruleId": "demo",
  "rule": {"destinationBucket": "buckets/demo-destination",
           "operations": "ADD_DELETE_CHANGE",
           "replicateHistorical": true}}'
crrctl rules watch "$rule" --until=synced

step "Creating, overwriting, deleting files and moving a folder"
each write_file < <(printf "$made/new/%s\0" {1..10})
each write_file < <(head -zn 10 -- "$WORK/taken")
each delete_file < <(tail -zn 10 -- "$WORK/taken")
from=$(folder_to_move)
to=$made/moved
mv -- "$folder/$from" "$folder/$to"
each move_object < <(find "$folder/$to" -type f -printf "%P\0")
some=$((historical < 10 ? historical : 10))
echo "   10 created, $some overwritten, $some deleted;" \
  "$(find "$folder/$to" -type f -printf x | wc -c) moved from $from to $to"

step "Waiting until all of that has arrived"
crrctl rules watch "$rule" --until=synced

step "Reading everything again"
files=$(count_files)
equal=yes
prove "$folder" buckets/demo-source "folder and source"
prove buckets/demo-source buckets/demo-destination "source and destination"
step

if [[ $equal && $files -gt 0 ]]; then
  echo "Equal: $files files, source and destination," \
    "$(seconds_since "$begun_all") in all"
else
  echo "NOT EQUAL"
  exit 1
fi
