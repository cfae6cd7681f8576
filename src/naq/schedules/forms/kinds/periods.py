"""The forms of triggers that need no calendar: one instant, a grid of instants, and a wait after each run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from naq.parsing import EARLIEST, MISSING, Reader, epoch, seconds
from naq.schedules.forms.examples import EXAMPLES
from naq.schedules.forms.kinds.form import TriggerForm
from naq.timing.periods import FixedDelay, Interval, Once

__all__ = ["FIXED_DELAY", "INTERVAL", "ONCE"]

SHORTEST: Final = timedelta(milliseconds=1)


def _read_once(reader: Reader) -> Once | None:
    at = reader.instant("run_at", reader.zone(), required=True)
    return None if at is None else Once(at)


def _read_interval(reader: Reader) -> Interval | None:
    zone = reader.zone()
    period = _period(reader, "interval")
    anchor = _anchor(reader, zone)
    return None if period is None else Interval(period, anchor)


def _read_fixed_delay(reader: Reader) -> FixedDelay | None:
    zone = reader.zone()
    delay = _period(reader, "delay")
    first_at = reader.instant("first_at", zone)
    return None if delay is None else FixedDelay(delay, first_at)


def _period(reader: Reader, key: str) -> timedelta | None:
    period = reader.duration(key, required=True)
    if period is not None and period < SHORTEST:
        reader.complain(key, str(period), "must be a millisecond or more")
        return None
    return period


def _anchor(reader: Reader, zone: str | None) -> datetime | None:
    value = reader.take("anchor")
    if value is MISSING or value is None or value == "creation":
        return None
    if value == "epoch":
        return EARLIEST
    return Reader({"anchor": value}, reader.path, reader.problems, EXAMPLES).instant("anchor", zone)


def _write_interval(trigger: Interval) -> dict[str, Any]:
    return {"interval": seconds(trigger.every), "anchor": epoch(trigger.anchor)}


def _write_fixed_delay(trigger: FixedDelay) -> dict[str, Any]:
    return {"delay": seconds(trigger.delay), "first_at": epoch(trigger.first_at)}


ONCE = TriggerForm("once", Once, (), _read_once, lambda trigger: {"run_at": epoch(trigger.at)})
INTERVAL = TriggerForm("interval", Interval, ("anchor",), _read_interval, _write_interval)
FIXED_DELAY = TriggerForm("fixed_delay", FixedDelay, ("first_at",), _read_fixed_delay, _write_fixed_delay)
