#!/usr/bin/env bash
# croniter: a step in a range that wraps is one too long where the range goes over its end.
#
# Expected: croniter takes ranges that wrap, and its documentation ("Note about Ranges") says that a
#   step is respected in them. Every third hour from 22 to 4 is 22, 1, 4; every fourth month from
#   October to June is October, February, June.
# Seen: the hours are 22 and 2, the months October and March: the step that crosses the end is 4 hours
#   and 5 months long, and the last value of the range is lost with it. Where a step ends exactly on the
#   end of the field (Apr-Jan/3, the example in its source) the answer is right.
# Hurts: night jobs ("every three hours from 22 to 4"): one run of three is missing, one is late.
# Source: croniter's README, "Note about Ranges"; crontab(5) on steps.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install croniter==7.0.0 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version

from croniter import croniter

print("croniter", version("croniter"))
hours = croniter("0 22-4/3 * * *").expanded[1]
months = croniter("0 0 1 oct-jun/4 *").expanded[3]
exact = croniter("0 0 1 apr-jan/3 *").expanded[3]
print("22-4/3    expected [1, 4, 22]     seen", hours)
print("oct-jun/4 expected [2, 6, 10]     seen", months)
print("apr-jan/3 expected [1, 4, 7, 10]  seen", exact)
if hours == [2, 22] and months == [3, 10] and exact == [1, 4, 7, 10]:
    print("seen: the step over the end is one too long")
else:
    raise SystemExit("no longer seen")
PY
