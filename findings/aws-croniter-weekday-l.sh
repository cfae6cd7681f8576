#!/usr/bin/env bash
# aws-croniter: L in the weekday field is taken and never due.
#
# Expected: the documentation of EventBridge says that L in the day-of-month or day-of-week field is the
#   last day of the month or of the week. The week of EventBridge goes from 1 (Sunday) to 7 (Saturday),
#   so "0 12 ? * L *" is every Saturday at noon, the same as "0 12 ? * 7 *".
# Seen: the expression is taken without an error, and get_next answers None for every run asked for.
#   "6L" (the last Friday of the month) works, and so does L in the day of the month.
# Hurts: whoever checks rules before they are handed to AWS, or shows when they fire: "never" for a rule
#   that fires every week.
# Source: Amazon EventBridge user guide, cron expressions, wildcards.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install aws-croniter==2.1.1 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import UTC, datetime
from importlib.metadata import version

from aws_croniter import AwsCroniter

print("aws-croniter", version("aws-croniter"))
start = datetime(2026, 1, 1, tzinfo=UTC)
saturdays = AwsCroniter("0 12 ? * 7 *").get_next(start, 3)
last_friday = AwsCroniter("0 12 ? * 6L *").get_next(start, 1)
seen = AwsCroniter("0 12 ? * L *").get_next(start, 3)
print("expected (as with 7):", [str(time) for time in saturdays])
print("seen with L         :", seen)
print("6L, for comparison  :", [str(time) for time in last_friday])
if seen == [None, None, None] and None not in saturdays + last_friday:
    print("seen: taken, never due")
else:
    raise SystemExit("no longer seen")
PY
