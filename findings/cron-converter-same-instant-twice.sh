#!/usr/bin/env bash
# cron-converter: next() answers the same instant twice when the clock goes forward.
#
# Expected: each call of next() is later than the one before; its documentation calls it the following
#   occurrence, and takes a start with a time zone. Every hour at minute 30 in the night of 29 March
#   2026 in Berlin is 01:30, 03:30, 04:30.
# Seen: 01:30+01:00, then 02:30+01:00 (a time that no clock shows), then 03:30+02:00. The last two are
#   one and the same instant, 01:30 UTC.
# Hurts: a loop "run, then sleep until next()" runs the job twice at once, since the second sleep is
#   zero; whoever uses the instant as a key writes two rows for one run.
# Source: cron-converter's README, the schedule's next(); the comparison is of the instants in UTC.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install cron-converter==2.0.2 tzdata==2026.6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import UTC, datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

from cron_converter import Cron

print("cron-converter", version("cron-converter"))
schedule = Cron("30 * * * *").schedule(datetime(2026, 3, 29, 1, 0, tzinfo=ZoneInfo("Europe/Berlin")))
times = [schedule.next() for _ in range(3)]
instants = [time.astimezone(UTC) for time in times]
for time, instant in zip(times, instants):
    print("next()", time, "=", instant)
print("expected: three instants, each later than the one before")
if instants[1] == instants[2]:
    print("seen: the second and the third are the same instant")
else:
    raise SystemExit("no longer seen")
PY
