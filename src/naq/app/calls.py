"""Types of the functions that run as jobs, so that checkers see their arguments and results through `enqueue`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar

from naq.schedules.forms.options import (
    CalendarForm,
    CronForm,
    DelayForm,
    IntervalForm,
    OnceForm,
    RuleForm,
    SeveralForm,
)
from naq.schedules.forms.specification import Spec
from naq.timing.triggers import Trigger

__all__ = ["Async", "P", "Plain", "R", "Schedule"]

P = ParamSpec("P")
R = TypeVar("R")

Async = Callable[P, Coroutine[Any, Any, R]]
"""An ``async def`` function."""
Plain = Callable[P, R]
"""A function of any other sort."""

OneSchedule = (
    OnceForm | IntervalForm | DelayForm | CronForm | CalendarForm | RuleForm | SeveralForm | Spec | Trigger | str
)
Schedule = OneSchedule | Sequence[OneSchedule]
"""A schedule as it is written: what `naq.cron` and its like return, a mapping, short text, or a list of them."""
