#!/bin/sh
# Measures what docs/benchmarks.md records: overhead and memory of the harness in the demo, lateness of the generator beside the shop.
# Prints a table. Needs: `make build shop` (make bench does that), python3, GNU time.
set -eu
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-3}
out=target/bench
rm -rf "$out"
mkdir -p "$out"
time_command=$(command -v time || true)
[ -x /usr/bin/time ] && time_command=/usr/bin/time
[ -n "$time_command" ] || { echo "GNU time is not there (Debian: time)" >&2; exit 2; }

echo "| run | runtime | variants | wall s | phases s | overhead s | peak memory MiB |"
echo "|---|---|---|---|---|---|---|"
for mode in none paired; do
    round=0
    while [ "$round" -lt "$rounds" ]; do
        round=$((round + 1))
        run=$out/$mode-$round
        "$time_command" --format '%e %M' --output "$run.time" \
            ./fixtures/shop/demo.sh --quiet --baseline-mode "$mode" --mode warn --scenario cache-dies --out "$PWD/$run" >"$run.log" 2>&1 || true
        python3 - "$run" "$mode-$round" "$mode" <<'PY'
import json, sys
directory, name, mode = sys.argv[1:]
run = json.load(open(directory + "/run.json"))
wall = (run["ended"] - run["started"]) / 1e9
phases = sum(p["end"] - p["start"] for s in run["scenarios"] for p in s["phases"]) / 1e9
peak = int(open(directory + ".time").read().split()[-1]) / 1024
print(f"| {name} | {run['runtime']} | {1 if mode == 'none' else 2} | {wall:.1f} | {phases:.1f} | {wall - phases:.2f} | {peak:.0f} |")
PY
    done
done
echo
echo "Peak memory is that of the largest process of the demo, builds included when something had to be built: run it twice."
echo
cargo run --quiet --release --package shakedown-load --example bench
