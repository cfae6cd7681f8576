"""How due schedules are packed into transactions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from naq.jobs.job import JobSpec
from naq.scheduler import intents as planning
from naq.scheduler.firing import MESSAGES_AT_ONCE, MISSING_AGAIN, MISSING_LIMIT, Firing
from naq.scheduler.lease import Term
from naq.scheduler.listeners import Listeners
from naq.scheduler.mirror import Mirror
from naq.schedules.planning.plan import FIRES_AT_ONCE, Plan, plan
from naq.schedules.policy import Coalesce, Policy
from naq.schedules.transitions import new_schedule
from naq.store.codec import encode
from naq.store.port import Entry, Outcome, Put, Refused, Write
from naq.testing.clock import ManualClock, manual_time
from naq.testing.store import MemoryStore
from naq.timing.triggers import Interval
from tests.simulation.node import Silence

START = ManualClock().now()
SCHEDULES = 40
GOOD = new_schedule("good", JobSpec(func="reports:send"), Interval(timedelta(seconds=1), START), Policy(), START)
BAD = {
    "without-zone": encode(GOOD.evolve(schedule_id="without-zone")).replace(b'01Z"', b'01"'),
    "of-another": encode(GOOD),
    "no-queue": encode(GOOD.evolve(schedule_id="no-queue", job=JobSpec(func="reports:send", queue="a b..>"))),
    "nothing": b"{}",
    "newer": encode(GOOD.evolve(schedule_id="newer", v=2)),
}
"""Key of a schedule -> what was written there by somebody who did not ask naq."""
TERM = Term("t", 1, (2,), 0.0, 5.0, ManualClock().now())


@manual_time
async def test_a_transaction_that_is_full_ends_the_planning(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage of minutes each schedule has a hundred fires due: planned in vain for every transaction that has no
    room for them, they made catching up cost the square of the schedules."""
    clock = ManualClock()
    store = MemoryStore(clock)
    mirror = Mirror(store, clock, Silence(), "n0")
    policy = Policy(coalesce=Coalesce.ALL, catch_up=None)
    for number in range(SCHEDULES):
        trigger = Interval(timedelta(seconds=1), clock.now())
        record = new_schedule(f"s{number}", JobSpec(func="reports:send"), trigger, policy, clock.now())
        store.commit([Put(f"schedule.s{number}", encode(record), 0)])
    await mirror.load()
    await clock.advance(FIRES_AT_ONCE)
    planned: list[str] = []

    def counted(*arguments: object) -> Plan:
        planned.append(arguments[0].schedule_id)  # type: ignore[attr-defined]
        return plan(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "plan", counted)
    firer = Firing(store, mirror, clock, Listeners(Silence()), "n0")
    taken: list[str] = []
    while intents := firer.collect(TERM, 0, clock.now(), 400):
        assert sum(intent.size for intent in intents) <= MESSAGES_AT_ONCE
        taken += [intent.key for intent in intents]
    assert sorted(taken) == sorted(f"schedule.s{number}" for number in range(SCHEDULES))
    assert len(planned) <= SCHEDULES + SCHEDULES * (FIRES_AT_ONCE + 1) // MESSAGES_AT_ONCE + 1


class LaggingStore(MemoryStore):
    """One whose replica that answers does not have the schedules yet, while ``lags``."""

    lags = False

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        return Refused("wrong last sequence") if self.lags else await super().transact(writes)

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        entries = await super().get_many(keys)
        return {key: entry for key, entry in entries.items() if not (self.lags and key.startswith("schedule."))}


@manual_time
@pytest.mark.parametrize("in_a_row", [False, True])
async def test_only_a_record_that_is_missing_again_and_again_is_forgotten(in_a_row: bool) -> None:
    clock = ManualClock()
    store = LaggingStore(clock)
    store.commit([Put("schedule.good", encode(GOOD), 0), Put("epoch.0.0", b"t", 0)])
    mirror = Mirror(store, clock, Silence(), "n0")
    await mirror.load()
    firer = Firing(store, mirror, clock, Listeners(Silence()), "n0")
    term = Term("t", 1, (2,), 0.0, 5.0, clock.now())
    for _ in range(MISSING_LIMIT):
        store.lags = True
        await clock.advance(1)
        await firer.commit(term, 0, firer.collect(term, 0, clock.now(), 400))
        if not in_a_row:
            store.lags = False
            await clock.advance(MISSING_AGAIN)
            fired = await firer.commit(term, 0, firer.collect(term, 0, clock.now(), 400))
            assert fired.job_ids
    await firer.retries.stop()
    assert (mirror.get("schedule.good") is None) is in_a_row


@manual_time
async def test_records_that_cannot_be_fired_are_quarantined_and_the_others_are_fired() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    for name, value in BAD.items():
        store.commit([Put(f"schedule.{name}", value, 0)])
    store.commit([Put("schedule.good", encode(GOOD), 0)])
    mirror = Mirror(store, clock, Silence(), "n0")
    await mirror.load()
    await clock.advance(1)
    intents = Firing(store, mirror, clock, Listeners(Silence()), "n0").collect(TERM, 0, clock.now(), 400)
    assert [intent.key for intent in intents] == ["schedule.good"]
    assert mirror.quarantined.keys() == {f"schedule.{name}" for name in BAD}
    assert "upgrade" in mirror.quarantined["schedule.newer"]
    assert "another schedule, 'good'" in mirror.quarantined["schedule.of-another"]
