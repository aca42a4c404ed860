#!/usr/bin/env bash
# Runs the gate, says what came of it as outputs of the step, and exits as the gate did. Everything comes from the environment.
set -euo pipefail

# An empty input is no input: its variable stays unset.
for name in SCENARIO BASELINE_MODE BASE MODE SHARD; do
    input=INPUT_$name
    if [ -n "${!input:-}" ]; then export "SHAKEDOWN_$name=${!input}"; fi
done
if [ "${INPUT_ALL:-}" = true ]; then export SHAKEDOWN_ALL=true; fi
export SHAKEDOWN_COMMENT=$SHAKEDOWN_OUT/comment.md SHAKEDOWN_METRICS=$SHAKEDOWN_OUT/metrics.txt

# Where the run does not get to a verdict nothing is written here.
export SHAKEDOWN_OUTPUTS=$RUNNER_TEMP/shakedown-outputs
rm -f "$SHAKEDOWN_OUTPUTS"
code=0
shakedown run || code=$?
{
    if [ -s "$SHAKEDOWN_OUTPUTS" ]; then grep -v '^exit_code=' "$SHAKEDOWN_OUTPUTS"; else echo verdict=error; fi
    echo "exit_code=$code"
    echo "report=$SHAKEDOWN_OUT/report.html"
    echo "junit=$SHAKEDOWN_OUT/junit.xml"
    echo "result=$SHAKEDOWN_OUT/result.json"
} >>"$GITHUB_OUTPUT"
if [ "${INPUT_SUMMARY:-true}" = true ] && [ -f "$SHAKEDOWN_OUT/summary.md" ]; then
    cat "$SHAKEDOWN_OUT/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
