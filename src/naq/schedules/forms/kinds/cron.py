"""Cron expressions as users write them: the mapping, and the expression alone."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.parsing import Reader
from naq.schedules.forms.examples import EXAMPLES
from naq.schedules.forms.kinds.form import TriggerForm, checked, dst_form, read_dst
from naq.timing.cron import Cron

__all__ = ["CRON", "names_a_zone", "parse_cron", "read_cron_text"]

ZONE_BESIDE: Final = "names a zone inside of the expression; the zone stands beside it, as timezone"


def _read(reader: Reader) -> Cron | None:
    zone = reader.zone() or "UTC"
    gap, overlap = read_dst(reader)
    day_or = reader.boolean("day_or")
    expression = reader.text("cron", required=True)
    if expression is None:
        return None
    if names_a_zone(expression):
        reader.complain("cron", expression, ZONE_BESIDE)
        return None
    return checked(reader, "cron", Cron(expression, zone, day_or is not False, gap, overlap))


def _write(trigger: Cron) -> dict[str, Any]:
    form: dict[str, Any] = {"cron": trigger.expression, "timezone": trigger.tz, **dst_form(trigger)}
    return form if trigger.day_or else {**form, "day_or": False}


CRON = TriggerForm("cron", Cron, ("day_or", "dst_gap", "dst_overlap"), _read, _write)


def names_a_zone(expression: str) -> bool:
    """Whether an expression begins as some systems let it begin: ``CRON_TZ=Europe/Berlin 0 9 * * *``."""
    return re.match(r"(CRON_)?TZ=", expression, re.IGNORECASE) is not None


def read_cron_text(text: str, path: str, problems: list[Problem], zone: str | None) -> Cron | None:
    """The trigger of an expression alone; ``None`` when there is a complaint."""
    if names_a_zone(text):
        problems.append(Problem(path, shown(text), ZONE_BESIDE, "{'cron': '0 9 * * *', 'timezone': 'Europe/Berlin'}"))
        return None
    trigger = Cron(text, zone or "UTC")
    problems.extend(found := trigger.check(path))
    return None if found else trigger


def parse_cron(expression: str, zone: str, now: datetime) -> Cron:
    """The trigger of a cron expression alone. Raises `InvalidSchedule`, also when it never fires after ``now``."""
    problems: list[Problem] = []
    trigger = _read(Reader({"cron": expression, "timezone": zone}, "schedule", problems, EXAMPLES))
    if trigger is not None and not problems and trigger.next_after(now) is None:
        problems.append(Problem("schedule", shown(str(trigger)), "it never fires", EXAMPLES["schedule"]))
    if problems or trigger is None:
        raise InvalidSchedule(*problems)
    return trigger
