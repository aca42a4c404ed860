"""Plays our actions, the gate job and the comment step with bash, as GitHub does, and with stand-ins for `shakedown` and `gh`.

Called by tests/workflows.sh. What an expression may be is what `Context.value` knows: one that it does not know fails the test.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from ruamel.yaml import YAML

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = "contains(github.event.pull_request.labels.*.name, 'shakedown-bypass')"

SHAKEDOWN = r"""#!/usr/bin/env bash
printf '%s\n' "$*" "SCENARIO=${SHAKEDOWN_SCENARIO-unset} MODE=${SHAKEDOWN_MODE-unset} SHARD=${SHAKEDOWN_SHARD-unset}" >>"$FAKE_LOG"
case $1 in
run | merge)
    if [ "${FAKE_VERDICT:-}" ]; then
        mkdir -p "$SHAKEDOWN_OUT"
        for file in summary.md run.json; do echo "$FAKE_VERDICT" >"$SHAKEDOWN_OUT/$file"; done
        printf 'verdict=%s\nexit_code=99\nregressions=2\nbaseline=abc\n' "$FAKE_VERDICT" >>"$SHAKEDOWN_OUTPUTS"
    fi
    exit "$FAKE_CODE" ;;
esac
"""

GH = r"""#!/usr/bin/env bash
printf '%s\n' "$*" >>"$FAKE_LOG"
case "$*" in
*/pulls\ *) echo "${FAKE_PULL-}" ;;
*--paginate*) echo "${FAKE_COMMENT-}" ;;
esac
for argument in "$@"; do case $argument in body=@*) cp "${argument#body=@}" "$FAKE_BODY" ;; esac; done
"""


class Context:
    """What expressions see."""

    def __init__(self, **known):
        self.known = known

    def value(self, expression):
        at = self.known
        if expression in at:
            return at[expression]
        for part in expression.split("."):
            at = at[part]
        return at

    def fill(self, text):
        return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda found: str(self.value(found.group(1))), str(text))


class Machine:
    """A runner: a workspace, files for outputs, stand-ins on the PATH."""

    def __init__(self, folder, **env):
        self.folder = pathlib.Path(folder)
        stand_ins = self.folder / "bin"
        stand_ins.mkdir()
        self.log = self.folder / "log"
        self.log.touch()
        for name, text in [("shakedown", SHAKEDOWN), ("gh", GH)]:
            program = stand_ins / name
            program.write_text(text)
            program.chmod(0o755)
        self.workspace = self.folder / "work"
        self.workspace.mkdir()
        self.env = {
            "PATH": f"{stand_ins}:/usr/local/bin:/usr/bin:/bin",
            "RUNNER_TEMP": str(self.folder),
            "FAKE_LOG": str(self.log),
            "FAKE_BODY": str(self.folder / "body"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_PATH": str(self.folder / "path"),
            **env,
        }
        self.said = ""

    def steps(self, steps, context):
        """The exit code of the first step that failed; those behind it run only `if: always()`."""
        failed, outputs = 0, {}
        context.known["steps"] = outputs
        for step in steps:
            condition = step.get("if")
            assert condition in (None, "always()"), condition
            if failed and condition != "always()":
                continue
            file = self.folder / "output"
            file.write_text("")
            code = self.bash(step["run"], {name: context.fill(value) for name, value in step.get("env", {}).items()}, file)
            lines = [line.split("=", 1) for line in file.read_text().splitlines()]
            outputs[step.get("id", "")] = {"outputs": dict(lines)}
            failed = failed or code
        return failed

    def bash(self, script, env, output=os.devnull):
        path = pathlib.Path(self.env["GITHUB_PATH"])
        added = path.read_text().split() if path.exists() else []
        env = {**self.env, **env, "GITHUB_OUTPUT": str(output)}
        env["PATH"] = ":".join(added[::-1] + [env["PATH"]])
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=self.workspace, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        self.said += done.stdout
        return done.returncode

    def action(self, folder, **inputs):
        """An action's exit code and its outputs."""
        action = read(ROOT / folder / "action.yml")
        given = {name: spec.get("default", "") for name, spec in action["inputs"].items()}
        assert set(inputs) <= set(given), f"{folder}: {set(inputs) - set(given)} are no inputs"
        context = Context(inputs={**given, **inputs}, github={"action_path": str(ROOT / folder)})
        code = self.steps(action["runs"]["steps"], context)
        outputs = {}
        for name, spec in action.get("outputs", {}).items():
            try:
                outputs[name] = context.fill(spec["value"])
            except KeyError:
                outputs[name] = ""
        return code, outputs

    def logged(self):
        return self.log.read_text()


def read(path):
    return YAML(typ="safe").load(path.read_text())


def check(holds, *why):
    if not holds:
        raise AssertionError(" ".join(str(part) for part in why))


def machine(**env):
    folder = tempfile.mkdtemp(prefix="shakedown-play-")
    FOLDERS.append(folder)
    return Machine(folder, **env)


FOLDERS = []


def the_action_exits_as_the_gate_does_and_says_what_came_of_it():
    for verdict, code in [("pass", 0), ("fail", 1), ("inconclusive", 3)]:
        runner = machine(FAKE_VERDICT=verdict, FAKE_CODE=str(code))
        exit_code, outputs = runner.action(".", mode="warn")
        check(exit_code == code, runner.said)
        expected = {"verdict": verdict, "exit-code": str(code), "regressions": "2", "baseline": "abc", "report-path": "shakedown-run/report.html"}
        check({name: outputs[name] for name in expected} == expected, outputs)
        check("MODE=warn" in runner.logged() and "SHARD=unset" in runner.logged(), runner.logged())
        check("\nrecover" in runner.logged(), "what is left is taken back in any case")
        check((runner.folder / "summary").read_text() == f"{verdict}\n", "the summary is on the job's page")


def without_a_verdict_the_action_says_error():
    runner = machine(FAKE_CODE="2")
    code, outputs = runner.action(".")
    check((code, outputs["verdict"], outputs["exit-code"]) == (2, "error", "2"), code, outputs)


def inputs_are_data():
    runner = machine(FAKE_VERDICT="pass", FAKE_CODE="0")
    evil = "$(touch pwned) `touch pwned`; touch pwned\n"
    for folder in [".", ".github/part"]:
        runner.action(folder, scenarios=evil, config=evil)
    check("SCENARIO=$(touch pwned) `touch pwned`; touch pwned" in runner.logged(), runner.logged())
    check(not list(runner.folder.rglob("pwned")), "an input was executed")


def a_binary_is_taken_by_its_sum_only():
    import hashlib

    for given, works in [(lambda right: right, True), (lambda right: "0" * 64, False), (lambda right: "", False)]:
        runner = machine(FAKE_VERDICT="pass", FAKE_CODE="0")
        binary = runner.folder / "downloaded"
        binary.write_text(SHAKEDOWN.replace('"$*"', '"binary $*"', 1))
        right = hashlib.sha256(binary.read_bytes()).hexdigest()
        code, _ = runner.action(".", binary=str(binary), sha256=given(right))
        check((code == 0) == works and ("binary run" in runner.logged()) == works, works, runner.said, runner.logged())
    code, _ = machine(FAKE_CODE="0").action(".", binary="http://example.org/shakedown", sha256="0" * 64)
    check(code == 2, "an address without TLS is refused")


def the_gate_job_always_runs_and_passes_only_what_every_part_of_it_proved():
    job = read(ROOT / ".github/workflows/gate.yml")["jobs"]["gate"]
    check(job["if"] == "always()" and job["needs"] == "part", "a check that is skipped counts as passed")
    [step] = [step for step in job["steps"] if step.get("id") == "gate"]
    check(step["uses"] == "$/.github/gate", step["uses"])
    cases = [
        # (what GitHub says of the parts, parts that are there, what merge exits with, label, what the gate exits with)
        ("success", 2, 0, False, 0),
        ("failure", 2, 1, False, 1),
        ("failure", 2, 0, False, 0),
        ("success", 2, 3, False, 3),
        ("success", 2, 5, False, 5),
        ("failure", 1, 0, False, 4),
        ("failure", 1, 1, False, 1),
        ("cancelled", 2, 0, False, 4),
        ("skipped", 0, 0, False, 4),
        ("success", 0, 0, False, 4),
        ("failure", 2, 1, True, 0),
        ("cancelled", 0, 0, True, 0),
    ]
    for result, parts, merged, label, expected in cases:
        runner = machine(FAKE_VERDICT="fail" if merged else "pass", FAKE_CODE=str(merged))
        for part in range(parts):
            folder = runner.workspace / f"shakedown-parts/shakedown-part-{part}/run"
            folder.mkdir(parents=True)
            (folder / "run.json").write_text("{}")
        context = Context(inputs={"shards": json.dumps(["1/2", "2/2"]), "binary": "", "sha256": ""}, needs={"part": {"result": result}})
        context.known[LABELS] = str(label).lower()
        inputs = {name: context.fill(value) for name, value in step["with"].items()}
        code, outputs = runner.action(".github/gate", **inputs)
        check(code == expected, (result, parts, merged, label), "exits with", code, "not", expected, runner.said)
        if label:
            check("::warning" in runner.said and "shakedown-bypass" in (runner.folder / "summary").read_text(), "a bypass is told")
            check(outputs["exit-code"] != "0", "and what it passes over stays known")


def a_comment_is_written_once_and_by_the_head_that_was_judged():
    [step] = [step for step in read(ROOT / ".github/workflows/comment.yml")["jobs"]["comment"]["steps"] if step["name"] == "Comment"]
    event = {
        "head_repository": {"owner": {"login": "stranger"}},
        "head_branch": "a b&state=closed;$(touch pwned)",
        "head_sha": "f" * 40,
        "html_url": "https://example.org/runs/1",
    }
    github = {"token": "t", "repository": "o/r", "event": {"workflow_run": event}}
    fail, ok = "<!-- stranger's -->\n## ✗ FAIL — slow\n", "<!-- x -->\n## ✓ PASS — all\n"
    cases = [
        # (text, pull request, comment that is there, what is called)
        (fail, "7", "", "POST repos/o/r/issues/7/comments"),
        (fail, "7", "41", "PATCH repos/o/r/issues/comments/41"),
        (ok, "7", "41", "PATCH repos/o/r/issues/comments/41"),
        (ok, "7", "", None),
        (fail, "", "", None),
        (None, "7", "", None),
    ]
    for text, pull, there, expected in cases:
        runner = machine(FAKE_PULL=pull, FAKE_COMMENT=there)
        (runner.folder / "reports").mkdir()
        if text is not None:
            (runner.folder / "reports/comment.md").write_text(text + "ü" * 100_000)
        context = Context(github=github, runner={"temp": str(runner.folder)})
        script = step["run"].replace(".github/gate/", f"{ROOT}/.github/gate/")
        code = runner.bash(script, {name: context.fill(value) for name, value in step["env"].items()})
        check(code == 0, runner.said)
        wrote = [line for line in runner.logged().splitlines() if "POST" in line or "PATCH" in line]
        check(len(wrote) == (expected is not None) and (expected is None or expected in wrote[0]), expected, runner.logged())
        if expected:
            body = (runner.folder / "body").read_text()
            check(body.startswith("<!-- shakedown: gate -->\n## ") and "stranger's" not in body, body[:200])
            check(len(body.encode()) < 65_536 and body.rstrip().endswith("(https://example.org/runs/1)"), len(body))
        if text is not None:
            check("head=stranger:a b&state=closed;$(touch pwned)" in runner.logged(), runner.logged())
    check(not list(runner.folder.rglob("pwned")), "a branch's name was executed")


def main():
    tests = [value for value in list(globals().values()) if callable(value) and getattr(value, "__module__", "") == "__main__"]
    tests = [test for test in tests if test not in (main, read, check, machine, Context, Machine)]
    try:
        for test in tests:
            test()
            print(f"ok: {test.__name__.replace('_', ' ')}")
    finally:
        for folder in FOLDERS:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
