#!/usr/bin/env bash
# spacetime (npm): Morocco is an hour off from April to September.
#
# Expected: in 2026 Morocco is at UTC+1, but for the weeks around Ramadan (15 February to 22 March) and from
#   20 September on, when it goes back to UTC+0 for good (IANA time zone database 2026f). In July its offset
#   is 60 minutes, as it was in every July since 2019.
# Seen: 0 minutes from April to September, an hour off; and 60 from October on. Its rules are right for the
#   weeks of Ramadan only. The changes of 7.4.8 say that this zone was repaired; the README says that the
#   newest rules are used.
# Hurts: whoever plans or shows times in Africa/Casablanca and Africa/El_Aaiun.
# Source: IANA time zone database, Africa/Casablanca, read here from the tzdata package of PyPI.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent spacetime@7.15.0
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install tzdata==2026.6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
cat > "$dir/t.cjs" <<'JS'
const spacetime = require("spacetime");
const months = [...Array(12).keys()];
console.log(months.map((m) => spacetime(Date.UTC(2026, m, 10, 12), "Africa/Casablanca").offset()).join(" "));
JS
echo "spacetime 7.15.0, offsets of Africa/Casablanca on the 10th of each month of 2026"
seen=$(node "$dir/t.cjs")
expected=$(PYTHONTZPATH='' "$dir/venv/bin/python" - <<'PY'
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

zone = ZoneInfo("Africa/Casablanca")
times = [datetime(2026, month, 10, 12, tzinfo=UTC).astimezone(zone) for month in range(1, 13)]
print(*(int(time.utcoffset().total_seconds() / 60) for time in times))
PY
)
echo "expected: $expected"
echo "seen    : $seen"
july=$(echo "$seen" | cut -d' ' -f7)
if [ "$(echo "$expected" | cut -d' ' -f7)" = 60 ] && [ "$july" = 0 ]; then
  echo "seen: UTC+0 in July"
else
  echo "no longer seen"
  exit 1
fi
