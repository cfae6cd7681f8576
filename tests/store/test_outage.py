"""What is logged while the store is away."""

from __future__ import annotations

from naq.store.outage import Reminder
from naq.testing.clock import ManualClock, manual_time


@manual_time
async def test_what_keeps_failing_is_logged_once_and_then_after_intervals_that_double() -> None:
    clock = ManualClock()
    reminder, began, said = Reminder(clock), clock.monotonic(), list[float]()
    for _ in range(400):
        if reminder.is_due():
            said.append(clock.monotonic() - began)
        await clock.advance(0.5)
    assert said == [0.0, 5.0, 15.0, 35.0, 75.0, 155.0]
    reminder.over()
    assert reminder.is_due(), "it succeeded, so the next failure is new"
