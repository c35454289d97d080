#!/usr/bin/env bash
# Asks a gate for its verdict and keeps one comment up to date; ends with the verdict's exit status.
# 0 PASS, 1 FAIL, 2 INCONCLUSIVE (0 with HEADWORKS_INCONCLUSIVE=pass), 3 error.
set -uo pipefail
folder="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
rm -f headworks-gate.md headworks-gate.xml headworks-gate.svg

headworks eval gate "$HEADWORKS_RELEASE" \
  --markdown headworks-gate.md --junit headworks-gate.xml --svg headworks-gate.svg
status=$?

if [ "$status" -gt 2 ] || [ ! -s headworks-gate.md ]; then
  # No verdict: without a word of it the comment of an earlier commit, maybe a PASS, would stand for this one.
  printf '<!-- headworks-gate:%s -->\n## ERROR: the gate of %s gave no verdict\n\nThe log of the job says why.\n' \
    "${HEADWORKS_RELEASE%%@*}" "$HEADWORKS_RELEASE" > headworks-gate.md
fi
[ -n "${GITHUB_STEP_SUMMARY:-}" ] && cat headworks-gate.md >> "$GITHUB_STEP_SUMMARY"
if [ -n "${COMMENTS_URL:-}" ] && [ -n "${COMMENT_TOKEN:-}" ]; then
  # A comment that can't be written (a fork's token, for one) changes no verdict.
  python3 "$folder/comment.py" headworks-gate.md || echo "The comment could not be written." >&2
fi

if [ "$status" -eq 2 ] && [ "${HEADWORKS_INCONCLUSIVE:-fail}" = pass ]; then
  exit 0
fi
exit "$status"
