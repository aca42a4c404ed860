#!/usr/bin/env python3
"""Gates the shop against itself and against slow-downs of known size, for real, and counts wrong answers.

    tests/bench-gates.py [AA] [AB]    AA gates of equal commits (30), AB of a payment that takes longer (15); prints a table

Half of the equal ones run beside a noisy neighbour. Each gate: processes, four rounds, at most 90 s of phases. Needs `make build shop`.
SHAKEDOWN_BINARY (target/release/shakedown), KEEP=directory (keeps the runs there), SEED (of the neighbour).
"""

import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.environ.get("SHAKEDOWN_BINARY", os.path.join(ROOT, "target/release/shakedown"))
SHOP = os.path.join(ROOT, "fixtures/shop/image/shop")
# What a payment takes, in ms, and what else a checkout takes at P99 here, about: a slow-down of 1.5 of the whole.
WORK, REST = 40, 6
SLOW = (1.5, 2.0)
CONFIG = """services:
  process:
    payment: {{ run: [{shop}, payment], env: {{ LISTEN: "{{{{ listen }}}}", PAYMENT_WORK_MS: "{work}" }}, ready: {{ http: /readyz }} }}
    orders: {{ run: [{shop}, orders], env: {{ LISTEN: "{{{{ listen }}}}", DATABASE_URL: "memory:", PAYMENT_URL: "http://{{{{ payment }}}}", PAYMENT_TIMEOUT_MS: "800" }}, ready: {{ http: /readyz }}, depends_on: [payment] }}
    catalog: {{ run: [{shop}, catalog], env: {{ LISTEN: "{{{{ listen }}}}", DATABASE_URL: "memory:", REDIS_URL: "memory:" }}, ready: {{ http: /readyz }} }}
    gateway: {{ run: [{shop}, gateway], env: {{ LISTEN: "{{{{ listen }}}}", CATALOG_URL: "http://{{{{ catalog }}}}", ORDERS_URL: "http://{{{{ orders }}}}" }}, ready: {{ http: /readyz }}, depends_on: [catalog, orders] }}
load:
  checkout: {{ to: "gateway:8080", request: POST /checkout, body: '{{"sku": {{{{ rand(0, 499) }}}}, "quantity": 1}}', rate: 150/s, timeout: 2s }}
steady_state: [{{ load: checkout, success: ">= 95%" }}]
baseline: {{ mode: paired, rounds: 4 }}
phases: {{ warmup: 2s, steady: 7s, recovery: 1s }}
scenarios:
  - scenario: slow-payment
    faults: [{{ for: 8s, on: "orders -> payment", latency: {{ delay: 10ms }} }}]
    expect: {{ fault: [{{ load: checkout, success: ">= 90%" }}] }}
"""


def neighbour(seed):
    """Burns a processor in bursts, until it is ended."""
    chance = random.Random(seed)
    while True:
        end = time.monotonic() + chance.uniform(0.2, 2.0)
        while time.monotonic() < end:
            pass
        time.sleep(chance.expovariate(1 / 2.0))


def git(folder, *arguments):
    environment = dict(os.environ, GIT_AUTHOR_NAME="bench", GIT_AUTHOR_EMAIL="bench@example.org", GIT_COMMITTER_NAME="bench",
                       GIT_COMMITTER_EMAIL="bench@example.org")
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)


def commit(folder, work, note):
    with open(os.path.join(folder, "shakedown.yaml"), "w") as file:
        file.write(CONFIG.format(shop=SHOP, work=work))
    with open(os.path.join(folder, "NOTE"), "w") as file:
        file.write(note)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", note)


def repository(folder, work):
    git(folder, "init", "-q", "-b", "main")
    commit(folder, WORK, "before")
    commit(folder, work, "after")


def gate(folder, out, seed):
    began = time.monotonic()
    done = subprocess.run([BINARY, "run", "--runtime", "process", "--base", "HEAD^", "--mode", "warn", "--quiet", "--seed", str(seed), "--out", out],
                          cwd=folder, capture_output=True, text=True)
    seconds = time.monotonic() - began
    if not os.path.exists(os.path.join(out, "result.json")):
        sys.exit(f"the gate gave no result: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return seconds, json.load(open(os.path.join(out, "result.json"))), json.load(open(os.path.join(out, "run.json")))


def line(number, kind, beside, seconds, result, run):
    findings = [finding for scenario in result["scenarios"] for finding in scenario["findings"]]
    failed = [finding["id"] for finding in findings if finding["verdict"] == "fail" and finding["check"].endswith("-vs-baseline")]
    tails = {finding["phase"]: finding.get("change") for finding in findings if finding["check"] == "p99-vs-baseline"}
    show = lambda change: "-" if change is None else f"{change:+.1%}"
    print(f"| {number} | {kind} | {beside} | {run['rounds']['done']} | {seconds:.0f} | {result['verdict']} | {show(tails.get('steady'))} | "
          f"{show(tails.get('fault'))} | {', '.join(failed) or '-'} |", flush=True)
    return bool(failed)


def play(counts, seed):
    keep = os.environ.get("KEEP") or tempfile.mkdtemp(prefix="bench-gates.")
    os.makedirs(keep, exist_ok=True)
    kinds = [("A/A", 1.0)] * counts[0] + [("A/B", SLOW[index % len(SLOW)] if index % 3 == 2 else SLOW[0]) for index in range(counts[1])]
    print("| gate | kind | neighbour | rounds | s | verdict | tail, steady | tail, fault | comparisons that failed |\n|---|---|---|---|---|---|---|---|---|")
    tally = {}
    for number, (kind, ratio) in enumerate(kinds, 1):
        noisy = kind == "A/A" and number % 2 == 0
        folder = tempfile.mkdtemp(prefix="bench-gates-tree.")
        repository(folder, round((WORK + REST) * ratio - REST))
        burners = [multiprocessing.Process(target=neighbour, args=(seed + number,), daemon=True)] if noisy else []
        for burner in burners:
            burner.start()
        try:
            seconds, result, run = gate(folder, os.path.join(keep, f"{number:02}"), seed + number)
        finally:
            for burner in burners:
                burner.kill()
            shutil.rmtree(folder)
        name = kind if ratio == 1.0 else f"{kind} x{ratio}"
        failed = line(number, name, "yes" if noisy else "no", seconds, result, run)
        entry = tally.setdefault((name, noisy), {"gates": 0, "comparison failed": 0, "pass": 0, "inconclusive": 0, "fail": 0})
        entry["gates"] += 1
        entry["comparison failed"] += failed
        entry[result["verdict"]] += 1
    print("\n| kind | neighbour | gates | a comparison failed | verdict pass | inconclusive | fail |\n|---|---|---|---|---|---|---|")
    for (name, noisy), entry in tally.items():
        print(f"| {name} | {'yes' if noisy else 'no'} | {entry['gates']} | {entry['comparison failed']} | {entry['pass']} | {entry['inconclusive']} | {entry['fail']} |")
    if not os.environ.get("KEEP"):
        shutil.rmtree(keep)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    play((numbers + [30, 15][len(numbers):])[:2], int(os.environ.get("SEED", "1")))
