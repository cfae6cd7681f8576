"""The corpus of 500 legal triggers: none of them makes a next time, or the count of a year, costly; counted in calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from naq.timing.triggers import Trigger
from tests.timing.make_corpus import CORPUS, SEED, SIZE, triggers
from tests.timing.steps import MOST_CALLS, calls

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
YEAR = timedelta(days=366)
STORED: list[Trigger] = msgspec.json.decode(CORPUS.read_bytes(), type=list[Trigger])


def test_the_corpus_is_what_its_program_makes() -> None:
    assert len(STORED) == SIZE
    assert triggers() == STORED, f"seed {SEED}: write it anew by python -m tests.timing.make_corpus"


@pytest.mark.parametrize("tenth", range(10))
def test_no_trigger_is_costly(tenth: int) -> None:
    for trigger in STORED[tenth::10]:
        trigger.count_between(BEGIN, BEGIN + YEAR)  # the zones' years are loaded once
        assert trigger.check("trigger") == []
        assert calls(lambda trigger=trigger: trigger.next_after(BEGIN)) < MOST_CALLS // 10, str(trigger)  # type: ignore[misc]
        counting = calls(lambda trigger=trigger: trigger.count_between(BEGIN, BEGIN + YEAR))  # type: ignore[misc]
        assert counting < MOST_CALLS, str(trigger)
