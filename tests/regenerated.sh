#!/bin/sh
# Files that are made from the code are what the code makes.
set -eu
cd "$(dirname "$0")/.."
made=$(mktemp)
trap 'rm -f "$made"' EXIT
"${CARGO_TARGET_DIR:-target}/debug/shakedown" schema >"$made"
if ! cmp -s "$made" shakedown.schema.json; then
    echo "shakedown.schema.json is not what \`shakedown schema\` prints; run: cargo run -p shakedown -- schema > shakedown.schema.json" >&2
    exit 1
fi
echo "shakedown.schema.json is up to date"
