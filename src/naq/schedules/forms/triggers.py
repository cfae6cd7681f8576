"""Triggers as users write them: the mapping of each kind (`naq.schedules.forms.kinds`), lists of them, and short text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from naq.exceptions import InvalidInput, Problem, shown
from naq.parsing import MISSING, Reader, instant_of, nearest
from naq.schedules.forms.examples import EXAMPLES
from naq.schedules.forms.kinds.calendar import CALENDAR, read_calendar
from naq.schedules.forms.kinds.cron import CRON, names_a_zone, read_cron_text
from naq.schedules.forms.kinds.form import TriggerForm
from naq.schedules.forms.kinds.periods import FIXED_DELAY, INTERVAL, ONCE
from naq.schedules.forms.kinds.recurrence import RECURRENCE, read_recurrence_text
from naq.timing.duration import parse_duration
from naq.timing.rrule_text import is_recurrence
from naq.timing.triggers import AnyOf, Interval, Once, Trigger

__all__ = [
    "FORMS",
    "KIND_OF_KEY",
    "TRIGGER_KEYS",
    "TRIGGER_TYPES",
    "read_several",
    "read_text",
    "read_trigger",
    "trigger_form",
]

TRIGGER_TYPES = get_args(Trigger)


def _several(reader: Reader) -> AnyOf | None:
    zone = reader.zone()
    parts = reader.require("of")
    return None if parts is MISSING else read_several(parts, reader.field("of"), reader.problems, zone)


def read_several(parts: Any, path: str, problems: list[Problem], zone: str | None = None) -> AnyOf | None:
    """The union of the triggers in a list; ``None`` when there is a complaint. ``zone`` is that of the parts that name
    none. A union inside is taken apart."""
    if not isinstance(parts, list | tuple) or not parts:
        problems.append(Problem(path, shown(parts), "must be a list of schedules", EXAMPLES["of"]))
        return None
    triggers = [_part(part, f"{path}[{index}]", problems, zone) for index, part in enumerate(parts)]
    known = [trigger for trigger in triggers if trigger is not None]
    if len(known) < len(triggers):
        return None
    return AnyOf(tuple(single for part in known for single in part.singles()))


def _part(part: Any, path: str, problems: list[Problem], zone: str | None) -> Trigger | None:
    trigger: Trigger | None
    if isinstance(part, TRIGGER_TYPES):
        trigger = part
    elif isinstance(part, str):
        trigger = read_text(part, path, problems, zone)
    elif isinstance(part, Mapping):
        reader = Reader(part if zone is None else {"timezone": zone, **part}, path, problems, EXAMPLES)
        trigger = read_trigger(reader)
        reader.finish(TRIGGER_KEYS)
    else:
        problems.append(Problem(path, shown(part), "must be a schedule", EXAMPLES["schedule"]))
        return None
    if trigger is not None and trigger.follows_runs:
        reason = "a fixed delay waits for the end of its own run, and cannot be one of several"
        problems.append(Problem(path, shown(str(trigger)), reason, "{'interval': '5m'}"))
        return None
    return trigger


def _write_several(trigger: AnyOf) -> dict[str, Any]:
    """A zone that all its parts share stands outside of them."""
    parts = [trigger_form(part) for part in trigger.triggers]
    zones = {part["timezone"] for part in parts if "timezone" in part}
    if len(zones) != 1:
        return {"of": parts}
    bare = [{key: value for key, value in part.items() if key != "timezone"} for part in parts]
    return {"of": bare, "timezone": zones.pop()}


FORMS: Final[tuple[TriggerForm[Any], ...]] = (
    *(ONCE, INTERVAL, FIXED_DELAY, CRON, CALENDAR, RECURRENCE),
    TriggerForm("several", AnyOf, (), _several, _write_several),
)
"""Every kind, with its form."""
BY_NAME = {form.name: form for form in FORMS}
BY_TYPE = {form.trigger: form for form in FORMS}
KIND_OF_KEY: Mapping[str, str] = {form.trigger.key: form.name for form in FORMS}
"""The key that implies the kind where ``type`` is left out."""
TRIGGER_KEYS = tuple(dict.fromkeys(("type", "timezone", *KIND_OF_KEY, *(key for form in FORMS for key in form.keys))))


def read_trigger(reader: Reader) -> Trigger | None:
    """The trigger that a mapping describes; ``None`` when there is a complaint."""
    kind = reader.take("type")
    if kind is MISSING:
        named = [name for key, name in KIND_OF_KEY.items() if reader.has(key)]
        if len(named) != 1:
            reader.complain("type", MISSING, f"must be one of {', '.join(BY_NAME)}")
            return None
        kind = named[0]
    known = kind.lower().replace("-", "_") if isinstance(kind, str) else ""
    if known not in BY_NAME:
        near = nearest(known, BY_NAME)
        hint = f"; did you mean {near!r}?" if near else ""
        reader.complain("type", kind, f"must be one of {', '.join(BY_NAME)}{hint}")
        return None
    return BY_NAME[known].read(reader)


def read_text(text: str, path: str, problems: list[Problem], zone: str | None = None) -> Trigger | None:
    """The trigger that short text describes: ``every 5m``, ``every 2 months``, a cron expression, ``@daily``, a
    recurrence rule (``FREQ=...``), or an ISO 8601 time. Wall times are those of ``zone``, UTC when there is none."""
    words = text.strip()
    if is_recurrence(words):
        return read_recurrence_text(words, path, problems, zone)
    if match := re.fullmatch(r"every\s+(.+)", words, re.IGNORECASE):
        return _read_every(match[1], path, problems, zone)
    if words.startswith("@") or names_a_zone(words) or len(words.split()) in (5, 6):
        return read_cron_text(words, path, problems, zone)
    at = instant_of(words, zone)
    if at is None:
        reason = "must be a schedule (a cron expression, 'every 5m', FREQ=..., or a time)"
        problems.append(Problem(path, shown(text), reason, "'every 5m'"))
        return None
    return Once(at)


def _read_every(text: str, path: str, problems: list[Problem], zone: str | None) -> Trigger | None:
    if re.fullmatch(r"(\d+\s+)?(month|year)s?", text.strip().lower()):
        return read_calendar(Reader({"every": text, "timezone": zone}, path, problems, EXAMPLES))
    spoken = re.sub(r"\s*(second|minute|hour|day|week)s?\b", lambda unit: unit[1][0], text.strip().lower())
    try:
        return Interval(parse_duration(f"1{spoken}" if spoken.isalpha() else spoken, path))
    except InvalidInput as error:
        problems.extend(Problem(path, shown(text), found.reason, "'every 5m'") for found in error.problems)
        return None


def trigger_form(trigger: Trigger) -> dict[str, Any]:
    """The mapping that `naq.schedules.forms.specification.parse_schedule` reads as this trigger."""
    form = BY_TYPE[type(trigger)]
    return {"type": form.name, **{key: value for key, value in form.write(trigger).items() if value is not None}}
