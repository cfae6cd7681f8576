#!/usr/bin/env bash
# cron-descriptor says "and" where the schedule means "or".
#
# Expected: the text and the instants of one line agree. crontab(5) says that a line with both a day
#   of the month and a weekday runs when either of them fits, croniter does so, and cron-descriptor
#   knows the rule: "0 0 13 * 5" is "on day 13 of the month, or on Friday".
# Seen: with a range of weekdays the "or" is gone. "0 0 1 * 1-5" is told as "on day 1 of the month,
#   Monday through Friday", which is at most one run a month; croniter runs it 23 times in July 2026.
# Hurts: whoever shows the text beside the line so that a user can check it: the text confirms the
#   mistake that it is there to catch.
# Source: crontab(5), the note on the two day fields; the README of croniter ("OR").
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install cron-descriptor==2.2.1 croniter==7.0.0 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import datetime
from importlib.metadata import version

from cron_descriptor import get_description
from croniter import croniter_range

print("cron-descriptor", version("cron-descriptor"), "with croniter", version("croniter"))
runs = len(list(croniter_range(datetime(2026, 7, 1), datetime(2026, 7, 31, 23), "0 0 1 * 1-5")))
one, several = get_description("0 0 13 * 5"), get_description("0 0 1 * 1-5")
print("0 0 13 * 5 :", one)
print("0 0 1 * 1-5:", several)
print("expected   : an 'or' in both; runs of the second in July 2026:", runs)
if " or " in one and " or " not in several and runs > 20:
    print("seen: the 'or' is missing in the second text")
else:
    raise SystemExit("no longer seen")
PY
