#!/usr/bin/env bash
# python-dateutil: a yearly rule with a week number runs on all seven days of that week.
#
# Expected: RFC 5545 (3.3.10): what a rule leaves open is taken from DTSTART. A yearly rule on a day in
#   January with BYMONTH=1,7 keeps the day of DTSTART, and in the same way BYWEEKNO=20 without BYDAY keeps
#   its weekday: one Monday a year when DTSTART is a Monday. rrule-temporal (npm) does so.
# Seen: seven days in a row, Monday to Sunday of week 20, every year. BYMONTH alone does keep the day.
# Hurts: yearly jobs and meetings that other programs wrote with BYWEEKNO: seven runs instead of one; and
#   COUNT=7 is over after a week instead of seven years.
# Source: RFC 5545, 3.3.10, "Information, not contained in the rule, ... derived from DTSTART".
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install python-dateutil==2.9.0.post0 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version

from dateutil.rrule import rrulestr

print("python-dateutil", version("python-dateutil"))


def days(rule: str) -> list[str]:
    return [f"{time:%a %F}" for time in rrulestr(f"DTSTART:20260511T090000\nRRULE:{rule};COUNT=7")]


months, week = days("FREQ=YEARLY;BYMONTH=5,7"), days("FREQ=YEARLY;BYWEEKNO=20")
print("BYMONTH=5,7 :", *months[:3])
print("BYWEEKNO=20 :", *week)
print("expected    : Mon 2026-05-11 Mon 2027-05-17 Mon 2028-05-15 ...")
if months[1] == "Sat 2026-07-11" and week[0] == "Mon 2026-05-11" and week[6] == "Sun 2026-05-17":
    print("seen: all seven days of the week")
else:
    raise SystemExit("no longer seen")
PY
