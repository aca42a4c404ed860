#!/usr/bin/env python3
"""Records the shop's matrix anew: every defect under the fault that shows it, and the shop as it is under the same faults.

    tests/record-matrix.py [SEEDS] [NAME…]    SEEDS runs of each defect (3); only the cases of these names; twenty minutes

Adds what is not there yet: remove a run to have it made anew.

Each run is one round on the engine, both variants, and goes to fixtures/runs/matrix/<defect>-<seed>/ (`as-it-is-<case>-<seed>` where nothing is wrong):
what `judge` reads and nothing else, packed as small as it goes. `make bench-culprit` and a test judge them. Needs an engine, `make shop` and `zstd`.
SHAKEDOWN_BINARY (target/release/shakedown), MATRIX (fixtures/runs/matrix).
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOP = ROOT / "fixtures/shop"
BINARY = os.environ.get("SHAKEDOWN_BINARY", str(ROOT / "target/release/shakedown"))
MATRIX = pathlib.Path(os.environ.get("MATRIX", ROOT / "fixtures/runs/matrix"))

# A service that does not come up on a busy machine is started again.
ATTEMPTS = 3

CHECKOUT = 'checkout: { to: "gateway:8080", request: POST /checkout, body: \'{"sku": {{ rand(0, 499) }}, "quantity": 1}\', rate: 20/s, timeout: 3s }'
HOT = 'checkout: { to: "gateway:8080", request: POST /checkout, body: \'{"sku": 17, "quantity": 1}\', rate: 20/s, timeout: 3s }'
MANY = CHECKOUT.replace("20/s", "100/s")
HERD = HOT.replace("20/s", "60/s")
PAGES = 'pages: { to: "gateway:8080", request: "GET /products?page={{ rand(0, 20) }}", rate: 20/s, timeout: 3s }'
PRODUCT = 'product: { to: "gateway:8080", request: "GET /products/{{ rand(0, 499) }}", rate: 20/s, timeout: 3s }'

# Name of the defect: load, faults, what the shop as it is keeps under them.
CASES = {
    "no-payment-timeout": (CHECKOUT, ['on: "orders -> payment", partition: {}'], 'p99: "<= 1700ms"'),
    "retry-storm": (CHECKOUT, ['on: "orders -> payment", latency: { delay: 200ms }'], 'p50: "<= 500ms"'),
    "n-plus-one": (PAGES, ['on: "catalog -> postgres", latency: { delay: 5ms }'], 'p50: "<= 60ms"'),
    "pool-of-one": (MANY, ['on: "orders -> postgres", latency: { delay: 5ms }'], 'success: ">= 90%"'),
    "swallowed-error": (CHECKOUT, ['on: "orders -> payment", http: { abort: 503 }'], 'success: ">= 90%"'),
    "cache-stampede": (HERD, ['on: "catalog -> postgres", latency: { delay: 100ms }'], 'p90: "<= 100ms"'),
    "serial-calls": (PRODUCT, ['on: "gateway -> catalog", latency: { delay: 40ms }', 'on: "gateway -> orders", latency: { delay: 40ms }'], 'p50: "<= 90ms"'),
    "lock-across-call": (HOT, ['on: "orders -> payment", latency: { delay: 200ms }'], 'success: ">= 90%"'),
}

CONFIG = """services: {{ compose: compose.yaml }}
telemetry: {{ otlp: true, metrics: {{ gateway: ":8080/metrics", catalog: ":8080/metrics", orders: ":8080/metrics", payment: ":8080/metrics" }} }}
load:
  {load}
baseline: {{ mode: paired, rounds: 1 }}
phases: {{ warmup: 2s, steady: 4s, recovery: 1s }}
scenarios:
  - scenario: {name}
    faults: [{faults}]
    expect: {{ fault: [{{ load: {of}, {limit} }}] }}
"""


def git(folder, *arguments):
    identity = ["-c", "user.name=matrix", "-c", "user.email=matrix@example.org"]
    environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null")
    subprocess.run(["git", *identity, *arguments], cwd=folder, env=environment, check=True, capture_output=True)


def repository(folder, case, defect):
    for name in ("compose.yaml", "image", "postgres", "redis", "Dockerfile", ".dockerignore"):
        source = SHOP / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    load, faults, limit = CASES[case]
    list_of = ", ".join(f"{{ for: 5s, {fault} }}" for fault in faults)
    (folder / "shakedown.yaml").write_text(CONFIG.format(load=load, name=case, faults=list_of, limit=limit, of=load.split(":")[0]))
    git(folder, "init", "-q", "-b", "main")
    for value in ("", defect):
        (folder / ".env").write_text(f"SHOP_DEFECT={value}\n")
        git(folder, "add", "-Af", ".")
        git(folder, "commit", "-q", "--allow-empty", "-m", value or "the shop as it is")


def record(case, defect, seed):
    name = f"{defect}-{seed}" if defect else f"as-it-is-{case}-{seed}"
    if (MATRIX / name).exists():
        return
    with tempfile.TemporaryDirectory(prefix="matrix.") as scratch:
        folder, out = pathlib.Path(scratch) / "shop", pathlib.Path(scratch) / "run"
        folder.mkdir()
        repository(folder, case, defect)
        command = [BINARY, "run", "--runtime", "docker", "--base", "HEAD^", "--mode", "warn", "--seed", str(seed), "--out", str(out)]
        for _ in range(ATTEMPTS):
            shutil.rmtree(out, ignore_errors=True)
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode == 0:
                break
        if not (out / "result.json").exists() or done.returncode != 0:
            sys.exit(f"{name}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
        said = [line for line in done.stdout.splitlines() if "culprit" in line]
        print(f"{name}: {keep(out, MATRIX / name) // 1024} KiB; {said[:1]}", flush=True)


def keep(out, place):
    """Only what the verdict rests on; answers how many bytes that is."""
    shutil.rmtree(place, ignore_errors=True)
    kept = [path for path in out.rglob("*") if path.suffix == ".zst" or path.name in ("run.json", "plan.json", "experiment.yaml", "events.jsonl")]
    for path in kept:
        to = place / path.relative_to(out)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zst":
            text = subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
            subprocess.run(["zstd", "-19", "-q", "-f", "-o", str(to)], input=text, check=True)
        else:
            shutil.copy(path, to)
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    chosen = sys.argv[2:] or list(CASES)
    for seed in range(1, seeds + 1):
        for case in chosen:
            record(case, case, seed)
            if seed <= max(1, seeds // 2):
                record(case, "", seed)


if __name__ == "__main__":
    main()
