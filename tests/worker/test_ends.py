"""Ends on a store in memory: whatever the ends of a group are, each is written or buried alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from naq.clock import SystemClock
from naq.config import Settings
from naq.events import Event
from naq.exceptions import StoreRejected, StoreUnavailable
from naq.jobs.ending import Facts, decide
from naq.jobs.history import HistoryRecord
from naq.jobs.job import JobSpec, JobStatus, QueuedJob
from naq.jobs.outcome import Dropped, Ended, Raised, Returned, Stopped, Unrunnable
from naq.jobs.records import DeadJob, DeadReason, StoredResult
from naq.queue.results import StoredResults
from naq.queue.settle import Settlement, Settling
from naq.store.codec import decode
from naq.store.keys import attempt_patterns, dead_key, name_in
from naq.store.port import Outcome, Put, Write
from naq.testing.store import MemoryStore
from naq.worker.ends import EndWriter

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFUSED = "@refused@"
"""Text that the store does not take."""
LIMIT = 4096


class Picky(MemoryStore):
    """A store that refuses every transaction with `REFUSED` in it, and answers nothing while it is ``away``."""

    away = False
    full_of: str | None = None

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        if self.away:
            raise StoreUnavailable("away")
        if self.full_of is not None or any(isinstance(each, Put) and REFUSED.encode() in each.value for each in writes):
            raise StoreRejected(self.full_of or "not that")
        return await super().transact(writes)


class StillClock(SystemClock):
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class Sink:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.history: list[HistoryRecord] = []

    def emit(self, events: Iterable[Event]) -> None:
        self.events.extend(events)

    def record(self, records: Iterable[HistoryRecord]) -> None:
        self.history.extend(records)


class World:
    def __init__(self) -> None:
        self.clock = StillClock()
        self.store = Picky(self.clock, max_value=LIMIT)
        self.results = Picky(self.clock, max_value=LIMIT)
        self.sink = Sink()
        kept = StoredResults(self.results)
        settling = Settling(Settings(instance_id="w"), self.store, kept, self.sink, self.sink, self.clock)
        self.writer = EndWriter("w", settling, self.clock)

    async def write(self, group: Sequence[Settlement]) -> None:
        """As the finisher does: what is refused once is tried again later, and then buried."""
        for refused in await self.writer.write(group):
            await self.writer.bury(refused)

    def result(self, job_id: str) -> StoredResult | None:
        entry = self.results.peek(job_id)
        return None if entry is None or entry.value is None else decode(StoredResult, job_id, entry.value)

    def dead(self, job_id: str) -> DeadJob | None:
        entry = self.store.peek(dead_key(job_id))
        return None if entry is None or entry.value is None else decode(DeadJob, entry.key, entry.value)

    def follows(self, job_id: str) -> bool:
        return any(self.store.entries(pattern) for pattern in attempt_patterns(job_id))


texts = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=("Cs", "Cc", "Lu")), max_size=30),
    st.integers(0, 3 * LIMIT).map(lambda size: "\x00" * size),
    st.just(f"no {REFUSED}"),
)
outcomes: st.SearchStrategy[Ended] = st.one_of(
    st.builds(lambda size: Returned(msgspec.Raw(b'"%b"' % (b"x" * size))), st.integers(0, 2000)),
    st.builds(lambda text: Returned(msgspec.Raw(b"null"), text), texts),
    st.builds(lambda text, trace: Raised("E", text, trace), texts, st.none() | texts),
    st.builds(lambda text: Raised("E", text, asked_retry=True, retry_after=5.0), texts),
    st.builds(lambda reason, text: Stopped(reason, 2.0, text), st.sampled_from(["timeout", "cancelled"]), texts),
    st.builds(lambda text: Unrunnable(DeadReason.BAD_ARGUMENTS, "BadArguments", text), texts),
    st.builds(Dropped, st.sampled_from(["missed", "cancelled"])),
)
specs = st.builds(
    lambda size, retries, ttl: JobSpec(
        func="m:f", args=msgspec.Raw(b'["%b"]' % (b"y" * size)), retries=retries, result_ttl=ttl
    ),
    st.integers(0, LIMIT - 300),
    st.integers(0, 1),
    st.none() | st.just(timedelta(days=150_000)) | st.just(timedelta(microseconds=1)),
)
groups = st.lists(st.tuples(specs, outcomes, texts), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(groups)
def test_any_end_of_any_job_is_written_or_buried_and_changes_no_other(
    group: list[tuple[JobSpec, Ended, str]],
) -> None:
    endings = []
    for number, (spec, outcome, reason) in enumerate(group):
        queued = QueuedJob(job_id=f"j{number}", spec=spec, enqueued_at=NOW)
        endings.append(decide(queued, outcome, Facts("w", NOW, NOW, NOW, reason)))
    together = World()
    settlements = [Settlement(ending) for ending in endings]
    asyncio.run(together.write(settlements))
    assert all(each.settled for each in settlements)
    for number, ending in enumerate(endings):
        job_id = f"j{number}"
        alone = World()
        asyncio.run(alone.write([Settlement(ending)]))
        assert together.result(job_id) == alone.result(job_id)
        assert together.dead(job_id) == alone.dead(job_id)
        result = together.result(job_id)
        if result is None:
            assert together.follows(job_id)
            continue
        assert result.status.ended
        dead = together.dead(job_id)
        assert (dead is not None) == (result.status is JobStatus.FAILED)
        if ending.result is None or ending.result.status is not result.status:
            assert dead is not None
            assert dead.reason is DeadReason.UNWRITABLE
    told = {event.job_id for event in together.sink.events}
    assert told == {ending.queued.job_id for ending in endings}


def ends(*texts: str) -> list[Settlement]:
    jobs = [QueuedJob(job_id=f"j{number}", spec=JobSpec(func="m:f"), enqueued_at=NOW) for number in range(len(texts))]
    facts = Facts("w", NOW, NOW, NOW)
    return [Settlement(decide(job, Raised("E", text), facts)) for job, text in zip(jobs, texts, strict=True)]


async def test_a_buried_end_is_named_with_the_stores_reason(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    await world.write(ends("a", REFUSED, "b"))
    result, dead = world.result("j1"), world.dead("j1")
    assert result is not None
    assert dead is not None
    assert (result.error_type, dead.reason) == ("EndNotWritten", DeadReason.UNWRITABLE)
    assert "not that" in (dead.error or "")
    assert "job j1" in caplog.text
    assert [event.reason for event in world.sink.events if event.job_id == "j1"] == [result.error]
    assert [world.result(job_id).error for job_id in ("j0", "j2")] == ["a", "b"]  # type: ignore[union-attr]


async def test_a_store_that_refuses_everything_buries_no_end() -> None:
    world, group = World(), ends("a", REFUSED, "b", "c", "d", "e")
    world.store.full_of = "the disk is full"
    with pytest.raises(StoreRejected, match="full"):
        await world.write(group)
    assert not any(each.settled for each in group)
    world.store.full_of = None
    await world.write(group)
    assert {name_in(entry.key) for entry in world.store.entries("dead.>")} == {f"j{number}" for number in range(6)}
    assert world.dead("j1").reason is DeadReason.UNWRITABLE  # type: ignore[union-attr]
    assert [world.dead(f"j{number}").error for number in (0, 2, 3)] == ["a", "b", "c"]  # type: ignore[union-attr]


async def test_a_store_that_is_away_buries_no_end() -> None:
    world, group = World(), ends("a", "b")
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        await world.write(group)
    world.store.away = False
    await world.write(group)
    assert [world.dead(f"j{number}").error for number in (0, 1)] == ["a", "b"]  # type: ignore[union-attr]
