#!/usr/bin/env bash
# Brings `shakedown` onto the PATH: the binary that was asked for, checked against its sum; else the one that is there; else built from this source.
# Everything comes from the environment: BINARY, SHA256, ACTION_PATH.
set -euo pipefail

fail() {
    echo "::error title=shakedown::$1"
    exit 2
}

if [ -n "${BINARY:-}" ]; then
    [[ ${SHA256:-} =~ ^[0-9a-f]{64}$ ]] || fail "binary needs sha256: 64 lower-case hexadecimal digits"
    folder=$RUNNER_TEMP/shakedown
    mkdir -p "$folder"
    case $BINARY in
        https://*) curl --fail --silent --show-error --location --proto '=https' --max-time 300 --output "$folder/shakedown" -- "$BINARY" ;;
        *://*) fail "binary must be an https:// address or a path" ;;
        *) cp -- "$BINARY" "$folder/shakedown" ;;
    esac
    if ! echo "$SHA256  $folder/shakedown" | sha256sum --check --strict --quiet; then
        rm -f "$folder/shakedown"
        fail "the binary is not the one that sha256 names"
    fi
    chmod +x "$folder/shakedown"
    echo "$folder" >>"$GITHUB_PATH"
elif ! command -v shakedown >/dev/null 2>&1; then
    cargo build --release --locked --manifest-path "$ACTION_PATH/Cargo.toml" --package shakedown
    echo "$ACTION_PATH/target/release" >>"$GITHUB_PATH"
fi
