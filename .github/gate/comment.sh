#!/usr/bin/env bash
# Writes the gate's comment to its pull request, or brings the one that is there up to date. For a workflow that runs after the gate's, with the right to
# write: the gate's own has none where the change comes from a fork. So the text, the branch's name and the commit are a stranger's: they are bounded, passed
# as data, and decide nothing. From the environment: COMMENT, COMMENT_KEY, REPOSITORY, HEAD_OWNER, HEAD_BRANCH, HEAD_SHA, RUN_URL, GH_TOKEN.
set -euo pipefail

if [ ! -f "$COMMENT" ] || [ -L "$COMMENT" ]; then
    echo "the gate left no comment"
    exit 0
fi
export MARK="<!-- shakedown: ${COMMENT_KEY:-gate} -->"
number=$(gh api --method GET "repos/$REPOSITORY/pulls" -f state=open -f "head=$HEAD_OWNER:$HEAD_BRANCH" \
    --jq '[.[] | select(.head.sha == env.HEAD_SHA)][0].number // empty')
if [ -z "$number" ]; then
    echo "no open pull request has this commit at its head"
    exit 0
fi
body=$RUNNER_TEMP/shakedown-comment.md
{
    echo "$MARK"
    # The mark is ours, whatever stands in the first line. A cut is an error to these programs, and a cut character is left out.
    tail -n +2 "$COMMENT" | head -c 64000 | iconv -c -f UTF-8 -t UTF-8 2>/dev/null || true
    printf '\n\n[Report and log](%s)\n' "$RUN_URL"
} >"$body"
id=$(gh api --paginate "repos/$REPOSITORY/issues/$number/comments" \
    --jq '.[] | select(.user.type == "Bot") | select(.body | startswith(env.MARK)) | .id' | head -n 1)
if [ -n "$id" ]; then
    gh api --method PATCH "repos/$REPOSITORY/issues/comments/$id" -F "body=@$body" --silent
elif sed -n 2p "$body" | grep -q '^## ✓ PASS'; then
    echo "it passed and nobody was told otherwise: no comment"
else
    gh api --method POST "repos/$REPOSITORY/issues/$number/comments" -F "body=@$body" --silent
fi
