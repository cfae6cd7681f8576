#!/usr/bin/env bash
# dateparser: "in 1 month" has the offset of today, not that of the day it names.
#
# Expected: with TIMEZONE set to Berlin and times with their zone asked for, "in 1 month" on 28 March 2026
#   at noon is 28 April at noon in Berlin: 12:00+02:00. "28 April 2026 12:00" is read like that.
# Seen: 12:00+01:00, which is 13:00 in Berlin, a time that has that offset on no clock of the zone in April.
#   The same for "tomorrow" and "in 2 weeks" over a change of the clock.
# Hurts: reminders typed in words: an hour late (or early) whenever the clock changes in between.
# Source: dateparser's documentation of the settings TIMEZONE and RETURN_AS_TIMEZONE_AWARE; the IANA data.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install dateparser==1.5.0 tzdata==2026.6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import datetime
from importlib.metadata import version

import dateparser

print("dateparser", version("dateparser"))
settings = {"RELATIVE_BASE": datetime(2026, 3, 28, 12), "TIMEZONE": "Europe/Berlin", "RETURN_AS_TIMEZONE_AWARE": True}
named = dateparser.parse("28 April 2026 12:00", settings=settings)
seen = dateparser.parse("in 1 month", settings=settings)
print("28 April 2026 12:00:", named)
print("in 1 month         :", seen, "(expected 2026-04-28 12:00:00+02:00)")
if str(named) == "2026-04-28 12:00:00+02:00" and str(seen) == "2026-04-28 12:00:00+01:00":
    print("seen: the offset of March in April")
else:
    raise SystemExit("no longer seen")
PY
