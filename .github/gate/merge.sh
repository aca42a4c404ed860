#!/usr/bin/env bash
# The one check that is required: joins the parts of a run and exits as the whole gate does. Everything comes from the environment: PARTS (a folder of
# run directories), PARTS_RESULT (what CI says of the job that ran them), SHARDS (the list of
# them, in JSON), SHAKEDOWN_OUT, BYPASS.
set -euo pipefail

export SHAKEDOWN_OUTPUTS=$RUNNER_TEMP/shakedown-outputs
export SHAKEDOWN_COMMENT=$SHAKEDOWN_OUT/comment.md SHAKEDOWN_METRICS=$SHAKEDOWN_OUT/metrics.txt
rm -f "$SHAKEDOWN_OUTPUTS"
code=0
expected=$(grep -o '"[0-9]*/[0-9]*"' <<<"$SHARDS" | wc -l)
shopt -s nullglob
parts=()
for file in "$PARTS"/*/run.json "$PARTS"/*/*/run.json; do parts+=("$(dirname "$file")"); done
case $PARTS_RESULT in
    success | failure) ;;
    # A job that was cancelled or never began has judged nothing, and a check that is skipped would count as passed.
    *) echo "::error title=shakedown::the parts of the gate are ${PARTS_RESULT//[^a-z]/}, so nothing is known"; code=4 ;;
esac
if [ "${#parts[@]}" = 0 ]; then
    echo "::error title=shakedown::no part of the gate left a run directory behind"
    code=4
else
    merged=0
    shakedown merge "${parts[@]}" --out "$SHAKEDOWN_OUT" || merged=$?
    if [ "$code" = 0 ]; then code=$merged; fi
    # A part that failed and left a directory has said so in it. One that left none is missing, and `gate.inconclusive: warn` does not excuse that.
    if [ "$code" = 0 ] && [ "${#parts[@]}" != "$expected" ]; then
        echo "::error title=shakedown::${#parts[@]} of $expected parts left a run directory behind"
        code=4
    fi
fi
{
    if [ -s "$SHAKEDOWN_OUTPUTS" ]; then grep -v '^exit_code=' "$SHAKEDOWN_OUTPUTS"; else echo verdict=error; fi
    echo "exit_code=$code"
} >>"$GITHUB_OUTPUT"
if [ -f "$SHAKEDOWN_OUT/summary.md" ]; then cat "$SHAKEDOWN_OUT/summary.md" >>"$GITHUB_STEP_SUMMARY"; fi
if [ "$code" != 0 ] && [ "${BYPASS:-false}" = true ]; then
    echo "::warning title=shakedown::the label shakedown-bypass lets this pass; the gate said $code"
    printf '\n> The label **shakedown-bypass** lets this pass; the gate exited with %s.\n' "$code" >>"$GITHUB_STEP_SUMMARY"
    code=0
fi
exit "$code"
