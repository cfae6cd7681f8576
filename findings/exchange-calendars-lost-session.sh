#!/usr/bin/env bash
# exchange_calendars: with pandas 3 the trading Saturdays of Bombay are gone.
#
# Expected: the calendar of the Bombay exchange lists two weeks of six days (special_weekmasks), since it was
#   open on Saturday, 20 January 2024, and on Saturday, 1 February 2025 (the day of the budget). So both are
#   sessions, and with pandas 2.3.3 they are. Version 4.13.2 asks for any pandas from 1.5 on.
# Seen: with pandas 3.1.1, which a plain install brings today, neither is a session, without a warning: the
#   special weeks are not looked at. The calendar of Tel Aviv, whose week changed in 2026, cannot be made at
#   all (ValueError), and those of Athens, Bucharest, Cyprus and Belgrade raise NotImplementedError.
# Hurts: jobs "on every trading day" do not run on these days, or stop running after an update of pandas.
# Source: exchange_calendars, special_weekmasks of the calendar itself; its declared requirement of pandas.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install exchange_calendars==4.13.2 pandas==3.1.1 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import exchange_calendars

print("exchange_calendars", version("exchange_calendars"), "with pandas", version("pandas"))
calendar = exchange_calendars.get_calendar("XBOM", start="2024-01-02", end="2025-12-30")
saturdays = [week for week in calendar.special_weekmasks if week[2][5] == "1" and week[0].year in (2024, 2025)]
for first, last, days in saturdays:
    print(f"special week {first:%F} to {last:%F}, days {days}")
seen = [calendar.is_session(day) for day in ("2024-01-20", "2025-02-01")]
print("are 2024-01-20 and 2025-02-01 sessions? expected [True, True], seen", seen)
if len(saturdays) == 2 and seen == [False, False]:
    print("seen: the special sessions are lost")
else:
    raise SystemExit("no longer seen")
PY
