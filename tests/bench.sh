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

./fixtures/shop/demo.sh prepare >/dev/null
shakedown=$PWD/target/release/shakedown
export PATH="$PWD/target/demo/image:$PATH"

# One run of the demo's repository in $1 with the arguments behind: a line of the table.
measure() { # directory, name, arguments
    directory=$1 name=$2
    shift 2
    run=$PWD/$out/$name
    (cd "$directory" && "$time_command" --format '%e %M' --output "$run.time" \
        "$shakedown" run --quiet --mode warn --out "$run" "$@" >"$run.log" 2>&1) || [ -s "$run/run.json" ]
    python3 - "$run" "$name" <<'PY'
import json, sys
directory, name = sys.argv[1:]
run = json.load(open(directory + "/run.json"))
plan = json.load(open(directory + "/plan.json"))
phases = sum(p["end"] - p["start"] for s in run["scenarios"] for p in s["phases"]) / 1e9
wall, peak = (float(figure) for figure in open(directory + ".time").read().split()[-2:])
reports = [event["report"] for event in map(json.loads, open(directory + "/events.jsonl")) if event["event"] == "generator"]
sent = sum(report["sent"] for report in reports) / phases
late = max(report["late_p99_ms"] for report in reports)
print(f"| {name} | {run['runtime']} | {plan['baseline_mode']} | {len(run['scenarios'])} | {wall:.1f} | {phases:.1f} | {wall - phases:.2f} | {peak / 1024:.0f} | {sent:.0f} | {late:.2f} |")
PY
}

echo "| run | runtime | baseline | scenarios | wall s | phases s | overhead s | peak memory MiB | requests/s | late P99 ms |"
echo "|---|---|---|---|---|---|---|---|---|---|"
for round in $(seq "$rounds"); do
    measure target/demo "one-none-$round" --scenario slow-payment --baseline-mode none
    measure target/demo "one-paired-$round" --scenario slow-payment
    measure target/demo "demo-$round"
done

# 2,000 requests a second beside the shop, most of them cheap for it, so that two cores suffice for both.
busy=$PWD/$out/busy
cp -R target/demo "$busy"
sed -i -e '/^steady_state:/,/^$/{/load:/d}' \
    -e '/browse:/,/timeout/{s,rate: .*,rate: 1880/s,;s,GET /products.*,GET /healthz,}' "$busy/shakedown.yaml"
sed -i -e '/stop_when/d' "$busy"/chaos/*.yaml
for round in $(seq "$rounds"); do
    measure "$busy" "busy-$round" --scenario slow-payment --baseline-mode none
done
echo
cargo run --quiet --release --package shakedown-load --example bench
