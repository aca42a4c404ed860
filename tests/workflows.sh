#!/usr/bin/env bash
# Our workflows, our action and the snippets of docs/ci.md: checked by what the field checks them with, and their scripts played with stand-ins for
# everything that they call. Offline; tests/needs.sh brings the tools. A minute at most.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${CARGO_TARGET_DIR:-target}/workflow-tools/bin
if [ ! -x "$tools/zizmor" ]; then
    echo "SKIPPED: zizmor, actionlint and check-jsonschema are not there; tests/needs.sh says why" >&2
    exit 0
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

"$tools/zizmor" --offline --no-progress --quiet . templates/init/workflow.yml
"$tools/actionlint" -shellcheck= -pyflakes= .github/workflows/*.yml templates/init/workflow.yml
"$tools/check-jsonschema" --quiet --builtin-schema vendor.github-actions action.yml .github/*/action.yml
"$tools/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml templates/init/workflow.yml

# What docs/ci.md shows is what somebody pastes.
awk -v to="$made" '/^```yaml title=/ { sub(/.*title=/, ""); file = to "/" $0; next } /^```/ { file = "" } file { print > file }' docs/ci.md
ls "$made"/*.github.yml "$made"/*.gitlab.yml >/dev/null
"$tools/check-jsonschema" --quiet --builtin-schema vendor.github-workflows "$made"/*.github.yml
"$tools/check-jsonschema" --quiet --builtin-schema vendor.gitlab-ci "$made"/*.gitlab.yml

"$tools/python" tests/play_workflows.py
echo "workflows are clean, and play as they say"
