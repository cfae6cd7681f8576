#!/usr/bin/env bash
# holidays: two calendars added forget which days their countries work.
#
# Expected: the sum of two calendars is "a single object" of both (its documentation): a day is a working
#   day in the sum only if what the two know of it is kept. In China Saturday, 14 February 2026 is a working
#   day (made up for the New Year week), in Israel Friday is weekend.
# Seen: holidays.CN alone says that the 14th is a working day; CN + HK says no. holidays.IL alone says that
#   Friday, 13 February is none; IL + CY says it is. The sum has the weekend Saturday and Sunday and
#   no made-up days, whatever was added, without a word about it.
# Hurts: schedules "on working days of both offices": they run on Fridays in Israel and do not run on the
#   working Saturdays in China. get_nth_working_day and get_working_days_count count the same way.
# Source: the documentation of HolidaySum and of is_working_day, weekend and weekend_workdays.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install holidays==0.109 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version

import holidays

print("holidays", version("holidays"))
china, hong_kong, israel, cyprus = (getattr(holidays, name)(years=2026) for name in ("CN", "HK", "IL", "CY"))
seen = []
for name, alone, both, day in (
    ("CN + HK", china, china + hong_kong, "2026-02-14"),
    ("IL + CY", israel, israel + cyprus, "2026-02-13"),
):
    seen.append((alone.is_working_day(day), both.is_working_day(day)))
    print(f"{day} working day? the first alone: {seen[-1][0]}, {name}: {seen[-1][1]}, weekend {sorted(both.weekend)}")
if seen == [(True, False), (False, True)]:
    print("seen: neither the working Saturday nor the free Friday is known to the sum")
else:
    raise SystemExit("no longer seen")
PY
