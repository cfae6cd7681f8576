"""Triggers as users write them: the mapping of each kind, and short text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from naq.exceptions import InvalidInput, Problem, shown
from naq.reading import EARLIEST, MISSING, Reader, instant_of, nearest, zone_of
from naq.timing.duration import parse_duration
from naq.timing.triggers import Cron, Interval, Once, Trigger

__all__ = ["EXAMPLES", "TRIGGER_KEYS", "read_text", "read_trigger"]

EXAMPLES: Mapping[str, str] = {
    "type": "'interval'",
    "run_at": "'2030-01-31T09:00:00+00:00'",
    "timezone": "'Europe/Berlin'",
    "interval": "3600",
    "anchor": "'epoch'",
    "cron": "'0 9 * * MON-FRI'",
    "max_runs": "10",
    "start_at": "'2030-01-01T00:00:00Z'",
    "end_at": "'2031-01-01T00:00:00Z'",
    "catch_up": "'1h'",
    "coalesce": "'latest'",
    "start_deadline": "'10m'",
    "jitter": "'30s'",
    "overlap": "'skip'",
}


def _once(reader: Reader) -> Once | None:
    zone = _zone(reader)
    at = reader.instant("run_at", zone, required=True)
    return None if at is None else Once(at)


def _interval(reader: Reader) -> Interval | None:
    zone = _zone(reader)
    period = reader.duration("interval", required=True)
    if reader.has("anchor"):
        anchor = _anchor(reader, zone)
        return None if period is None else Interval(period, anchor)
    return None if period is None else Interval(period)


def _anchor(reader: Reader, zone: ZoneInfo | None) -> datetime | None:
    value = reader.take("anchor")
    if value is None or value == "creation":
        return None
    if value == "epoch":
        return EARLIEST
    return Reader({"anchor": value}, reader.path, reader.problems, EXAMPLES).instant("anchor", zone)


def _cron(reader: Reader) -> Cron | None:
    name = reader.zone()
    expression = reader.text("cron", required=True)
    if expression is None:
        return None
    trigger = Cron(expression) if name is None else Cron(expression, name)
    problems = check(trigger, reader.field("cron"))
    reader.problems.extend(problems)
    return None if problems else trigger


def check(trigger: Cron, field: str) -> list[Problem]:
    try:
        CronSim(trigger.expression, EARLIEST)
    except CronSimError as error:
        return [Problem(field, shown(trigger.expression), f"is no cron expression ({error})", EXAMPLES["cron"])]
    return []


def _zone(reader: Reader) -> ZoneInfo | None:
    name = reader.zone()
    return None if name is None else zone_of(name)


KINDS: Mapping[str, Callable[[Reader], Trigger | None]] = {
    "once": _once,
    "interval": _interval,
    "cron": _cron,
}

KEY_OF_KIND: Mapping[str, str] = {"run_at": "once", "interval": "interval", "cron": "cron"}
"""The key that alone tells the kind, when there is no ``type``."""

TRIGGER_KEYS = ("type", "run_at", "timezone", "interval", "anchor", "cron")


def read_trigger(reader: Reader) -> Trigger | None:
    """The trigger that a mapping describes; ``None`` when there is a complaint."""
    kind = reader.take("type")
    if kind is MISSING:
        told = [name for key, name in KEY_OF_KIND.items() if reader.has(key)]
        if len(told) != 1:
            reader.complain("type", MISSING, f"must be one of {', '.join(KINDS)}")
            return None
        kind = told[0]
    if not isinstance(kind, str) or kind.lower() not in KINDS:
        near = nearest(kind, KINDS) if isinstance(kind, str) else None
        hint = f"; did you mean {near!r}?" if near else ""
        reader.complain("type", kind, f"must be one of {', '.join(KINDS)}{hint}")
        return None
    return KINDS[kind.lower()](reader)


def read_text(text: str, path: str, problems: list[Problem]) -> Trigger | None:
    """The trigger that short text describes: ``every 5m``, a cron expression, ``@daily``, or an ISO 8601 time."""
    words = text.strip()
    if match := re.fullmatch(r"every\s+(.+)", words, re.IGNORECASE):
        try:
            return Interval(parse_duration(match[1], path))
        except InvalidInput as error:
            problems.extend(error.problems)
            return None
    if words.startswith("@") or len(words.split()) in (5, 6):
        return _cron(Reader({"cron": words}, path, problems, EXAMPLES))
    at = instant_of(words)
    if at is None:
        reason = "is no schedule (a cron expression, 'every 5m', or a time)"
        problems.append(Problem(path, shown(text), reason, "'every 5m'"))
        return None
    return Once(at)
