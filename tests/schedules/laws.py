"""Definitions and edits for the laws of `tests.schedules.test_laws`: as users write them, drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from naq.jobs.job import JobSpec
from naq.schedules.declared import Definition
from naq.schedules.forms.specification import parse_schedule
from naq.schedules.planning.before_edit import decided_first, left_undecided, needs_decision
from naq.schedules.planning.decision import NonFire
from naq.schedules.record import Schedule

__all__ = ["JOB", "Books", "T", "definitions", "edited", "forms", "moves", "read"]

T = datetime(2026, 3, 26, 22, 30, 7, tzinfo=UTC)
"""Days before the clocks change in Berlin."""
JOB = JobSpec(func="reports:send")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")

zoned = st.sampled_from([{}, *({"timezone": zone} for zone in ZONES)])


def _with_zone(form: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(form, zoned).map(lambda pair: {**pair[0], **pair[1]})


parts = st.one_of(
    st.sampled_from(["7m", "1h", "8h", "1d"]).map(lambda period: {"interval": period}),
    st.sampled_from(["1h", "5h"]).map(lambda period: {"interval": period, "anchor": "epoch"}),
    _with_zone(st.sampled_from(["*/20 * * * *", "30 2 * * *", "0 9 * * MON-FRI"]).map(lambda text: {"cron": text})),
    _with_zone(st.sampled_from(["day", "2 days", "2 weeks"]).map(lambda text: {"every": text, "at": "09:00"})),
    _with_zone(st.sampled_from(["FREQ=DAILY", "FREQ=HOURLY;INTERVAL=5"]).map(lambda text: {"rrule": text})),
)
triggers = st.one_of(
    parts,
    st.sampled_from(["10m", "3h"]).map(lambda delay: {"delay": delay}),
    st.lists(parts, min_size=2, max_size=3).map(lambda many: {"of": many}),
)
policies = st.fixed_dictionaries(
    {},
    optional={
        "jitter": st.sampled_from(["30s", "20m"]),
        "overlap": st.sampled_from(["skip", "buffer_one", "terminate_other"]),
        "coalesce": st.sampled_from(["latest", "earliest", "all"]),
        "catch_up": st.sampled_from(["5m", "1h", None]),
        "exclude": st.sampled_from([["2026-03-28"], ["* 3 * * *"], ["2026-03-27T10:00..2026-03-27T14:30"]]),
        "end_at": st.just("2026-12-31T12:00:00"),
    },
)
forms = st.tuples(triggers, policies).map(lambda pair: {**pair[0], **pair[1]})
moves = st.sampled_from([0.0, 1.0, 61.0, 3_600.0, 3_661.5, 30_000.0, 90_000.0]).map(lambda far: timedelta(seconds=far))


def read(form: Mapping[str, Any]) -> Definition:
    """The definition that such a form declares."""
    return Definition("s", JOB, *parse_schedule(form, None))


definitions = forms.map(read)


class Books:
    """What became of nominal times, as plans and edits say."""

    def __init__(self) -> None:
        self.fired: list[datetime] = []
        self.not_fired = 0

    def add(self, fires: list[datetime], non_fires: tuple[NonFire, ...]) -> None:
        """Enter what one decision came to."""
        self.fired += fires
        self.not_fired += sum(found.count for found in non_fires)

    @property
    def total(self) -> int:
        """All nominal times that were decided."""
        return len(self.fired) + self.not_fired


def edited(before: Schedule, after: Schedule | None, now: datetime, books: Books) -> tuple[Schedule, bool]:
    """What `naq.schedules.repository` does with an edit: the record to go on with, and whether it is the edited one.

    ``False``: something was decided first, and the edit is to be tried again on the record as it is then.
    """
    if after is None:
        return before, True
    if needs_decision(before, after, now):
        while (planned := decided_first(before, now)).schedule is not before:
            before = planned.schedule
            books.add([fire.nominal_at for fire in planned.fires], planned.non_fires)
        return before, False
    books.add([], left_undecided(before, after, now))
    return after, True
