#!/bin/sh
# Measures what docs/benchmarks.md records of faults: how soon they are in force and gone, how exact their dose is, how many packets a core passes, and
# the link beside HAProxy. Prints tables; about three minutes. Needs root; Docker and a static busybox, and haproxy, for what is compared with.
# Other work on the machine disturbs both sides of a comparison alike, and less where we may go before it: NICE=0 for no more than our share.
set -eu
cd "$(dirname "$0")/.."
nice=${NICE:--15}
image=shakedown-bench-helper
target=${CARGO_TARGET_DIR:-target}

skip() { # what, why
    echo
    echo "SKIPPED: $1: $2"
}

# An image of busybox and nothing else: what a tool starts beside a service to hurt its network is rarely smaller.
build_helper() {
    docker version >/dev/null 2>&1 || { skip "a helper container" "no engine answers"; return 1; }
    busybox=$(command -v busybox) || { skip "a helper container" "no busybox (Debian: busybox-static)"; return 1; }
    context=$(mktemp -d)
    cp "$busybox" "$context/busybox"
    printf 'FROM scratch\nCOPY busybox /busybox\n' >"$context/Dockerfile"
    docker build --quiet --tag "$image" "$context" >/dev/null 2>&1 || { rm -r "$context"; skip "a helper container" "its image cannot be built"; return 1; }
    rm -r "$context"
}

remove_helper() {
    docker ps --all --quiet --filter label=dev.shakedown.bench | xargs -r docker rm --force >/dev/null
    docker image rm --force "$image" >/dev/null
}

[ "$(id -u)" -eq 0 ] || { echo "make bench-faults needs root: it makes network namespaces" >&2; exit 2; }
cargo build --quiet --release --package shakedown-agent --bench faults
cargo build --quiet --release --package shakedown-link --example beside_haproxy

echo "$(uname -sr), $(nproc) cores, nice $nice, load average before: $(cut -d' ' -f1-3 /proc/loadavg)"
if build_helper; then
    export SHAKEDOWN_BENCH_IMAGE=$image
    trap remove_helper EXIT
fi
nice -n "$nice" cargo bench --quiet --package shakedown-agent --bench faults
if command -v haproxy >/dev/null; then
    nice -n "$nice" "$target/release/examples/beside_haproxy"
else
    skip "the link beside HAProxy" "no haproxy (Debian: haproxy)"
fi
echo
echo "load average after: $(cut -d' ' -f1-3 /proc/loadavg)"
