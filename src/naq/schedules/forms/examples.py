"""Values that would do, by the key of a schedule's form: complaints show them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EXAMPLES"]

EXAMPLES: Mapping[str, str] = {
    "type": "'interval'",
    "run_at": "'2030-01-31T09:00:00+00:00'",
    "timezone": "'Europe/Berlin'",
    "interval": "3600",
    "anchor": "'epoch'",
    "delay": "'5m'",
    "first_at": "'2030-01-31T09:00:00+00:00'",
    "cron": "'0 9 * * MON-FRI'",
    "day_or": "False",
    "dst_gap": "'shift'",
    "dst_overlap": "'first'",
    "every": "'2 months'",
    "unit": "'months'",
    "at": "'09:00'",
    "start": "'2030-01-31'",
    "day": "31",
    "rrule": "'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO'",
    "dtstart": "'2030-01-07T09:00:00'",
    "exdate": "['2030-04-22T09:00:00']",
    "rdate": "['2030-04-23T09:00:00']",
    "of": "[{'cron': '0 9 * * *'}, {'cron': '0 18 * * *'}]",
    "max_runs": "10",
    "start_at": "'2030-01-01T00:00:00Z'",
    "end_at": "'2031-01-01T00:00:00Z'",
    "catch_up": "'1h'",
    "coalesce": "'latest'",
    "start_deadline": "'10m'",
    "jitter": "'30s'",
    "overlap": "'skip'",
    "exclude": "['2030-12-24..2031-01-01', 'holidays:DE-BY']",
    "keep_finished": "'7d'",
    "first": "'now'",
    "schedule": "{'type': 'interval', 'interval': 3600}",
    "next_run_at": "'2030-01-31T09:00:00+00:00'",
    "job": "{'queue': 'mail'}",
    "labels": "{'team': 'billing'}",
    "note": "'asked for by accounting'",
}
