"""The verifier: reads what is left of a live system's fires, and has `naq.observe.verify.judging` say what became of each.

The schedules are read and judged in batches, so many nominal times in each; for every batch all that may hold a trace is gone
over once. So the memory that it takes is bounded, however many schedules there are: their ids, a batch, and what there is
to tell.

Nothing stands still meanwhile. A batch's schedules are read first: what their records say was decided left its traces before
they were looked for. Results are read after the queues, for a job that ends has a result before it leaves its queue. And
when there is a trace of a fire that a record does not know of, the record is read once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import RecordUnreadable, StoreUnavailable
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import QueuedJob
from naq.jobs.records import DeadJob
from naq.lifecycle import BaseService, ServiceManager
from naq.observe.verify.case import Case, Question
from naq.observe.verify.edits import gone
from naq.observe.verify.enqueues import outruns
from naq.observe.verify.evidence import Gathered, Removal
from naq.observe.verify.judging import expected, judge, quarantined
from naq.observe.verify.verdict import Judged, Tally, Verdict
from naq.observe.verify.window import events_complete_since, history_complete_since, read_since
from naq.queue.results import ResultService
from naq.scheduler.leader import find_leader
from naq.schedules.planning.soundness import PLANNING_ERRORS, flaw_of, flaw_text
from naq.schedules.record import Schedule
from naq.store.codec import decode
from naq.store.keys import ALL_DEAD, ALL_DEFERRED, ALL_JOBS, check_schedule_id, is_dead, schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.timing.duration import parse_duration

__all__ = ["VerifyService"]

AT_ONCE = 250_000
"""Nominal times in one batch: what is left of their fires is held in memory."""
SCHEDULES_AT_ONCE = 20_000
READ_AT_ONCE = 500
FEW = 50
"""Schedules whose history is read one by one; of more, the history of all is read."""
EARLIER = timedelta(minutes=5)
"""How much earlier than asked for events are read: those of a fire are stamped by another machine's clock."""
LOOK_AGAIN = 3
"""Times that a record is read again which does not know of a fire."""
LOOK_AGAIN_AFTER = 0.5
BREATHE_EVERY = 100
"""Schedules that are judged before others on the event loop have their turn."""


class VerifyService(BaseService):
    """Says whether all that should have fired did."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        kv_service: KVStoreService,
        event_service: EventService,
        history_service: HistoryService,
        result_service: ResultService,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(config)
        self.clock: Clock = clock or SystemClock()
        self._connection = kv_service.connection
        self._kv = kv_service
        self._events = event_service
        self._history = history_service
        self._results = result_service

    async def _do_initialize(self) -> None:
        for service in (self._kv, self._events, self._history, self._results):
            await service.initialize()

    async def _do_cleanup(self) -> None:
        """Nothing is held."""

    async def verify(
        self,
        *schedule_ids: str,
        since: datetime | timedelta | str = "24h",
        patience: timedelta | float | str = "10s",
    ) -> Verdict:
        """What became of every nominal time of these schedules, or of all, ``since`` then: so long ago ("24h", a
        timedelta), or an instant (a datetime, ISO text; a naive one is UTC).

        A nominal time that has been due for longer than ``patience`` and is not decided about is overdue. It only reads, and
        may be asked at any time, of a system that works. Raises `InvalidInput` for a bad argument, `StoreError`
        when the store cannot be asked.
        """
        as_of = self.clock.now()
        begin = read_since(since, as_of)
        longest = parse_duration(patience, "patience", positive=False)
        for name in schedule_ids:
            check_schedule_id(name)
        await self._events.outbox.flush()
        await self._history.flush()
        question = await self._question(begin, as_of, longest)
        tally = Tally()
        names = list(dict.fromkeys(schedule_ids)) or await self._all_names()
        removed: dict[str, Removal] = {}
        async for batch in self._batches(names, question, tally):
            for number, case in enumerate(await self._cases(batch, question, removed)):
                tally.add(_judged(case, question))
                if number % BREATHE_EVERY == 0:
                    await asyncio.sleep(0)
        if not schedule_ids:
            tally.absent.clear()  # they were deleted while the others were judged
            for name in removed.keys() - set(names):
                tally.add(gone(removed[name]))
        return tally.verdict(begin, as_of)

    async def _all_names(self) -> list[str]:
        """The ids of all schedules, each once: records that are written meanwhile come again in a scan."""
        names: dict[str, None] = {}
        async for entries in self._kv.scan(schedule_key(">")):
            names |= dict.fromkeys(entry.key.partition(".")[2] for entry in entries if entry.value is not None)
        return list(names)

    async def _question(self, since: datetime, as_of: datetime, patience: timedelta) -> Question:
        """What is asked, with what is known of the streams and of who leads."""
        names = self._kv.names
        events = await self._stream(names.events_stream)
        history = await self._stream(names.history_stream)
        try:
            leader = await find_leader(self._kv, self._connection, as_of)
        except RecordUnreadable:
            leader = None
        return Question(
            since,
            as_of,
            patience,
            complete_since=events_complete_since(events, as_of),
            history_since=history_complete_since(history, as_of),
            history_length=int(history["config"].get("max_msgs_per_subject") or 0),
            leaderless=None if leader is not None else "no scheduler leads, so nothing fires",
        )

    async def _stream(self, name: str) -> dict[str, Any]:
        info = await self._connection.stream_service.info(name)
        if info is None:
            raise StoreUnavailable(f"the stream {name} is not there: it was deleted just now; try again")
        return info

    async def _batches(self, names: Sequence[str], question: Question, tally: Tally) -> AsyncIterator[list[Schedule]]:
        """The schedules in batches; those that cannot be read, or are not there, are reported on the way."""
        batch: list[Schedule] = []
        size = 0
        for start in range(0, len(names), READ_AT_ONCE):
            part = names[start : start + READ_AT_ONCE]
            entries = await self._kv.get_many([schedule_key(name) for name in part])
            for name in part:
                entry = entries.get(schedule_key(name))
                if entry is None or entry.value is None:
                    tally.absent.append(name)
                    continue
                try:
                    record = decode(Schedule, entry.key, entry.value)
                except RecordUnreadable as error:
                    tally.add(quarantined(name, f"its record cannot be read: {error.reason}"))
                    continue
                if (flaw := flaw_of(record)) is not None:
                    tally.add(quarantined(name, flaw))
                    continue
                batch.append(record)
                size += expected(record, question)
            if size >= AT_ONCE or len(batch) >= SCHEDULES_AT_ONCE:
                yield batch
                batch, size = [], 0
        if batch or not names:
            yield batch

    async def _cases(self, batch: list[Schedule], question: Question, removed: dict[str, Removal]) -> list[Case]:
        """The schedules of a batch, each with what is left of its fires. ``removed`` takes in what was removed of others."""
        gathered = Gathered((record.schedule_id for record in batch), question.since)
        await self._read_events(gathered, question.since - EARLIER)
        removed |= gathered.gone
        await self._read_jobs(gathered)
        async for results in self._results.pages():
            for result in results:
                gathered.result(result)
        names = [record.schedule_id for record in batch] if len(batch) <= FEW else [None]
        for name in names:
            async for lines in self._history.pages(name):
                for line in lines:
                    gathered.history(line)
        cases = {record.schedule_id: Case(record, gathered.of[record.schedule_id], record) for record in batch}
        await self._look_again(cases)
        now = self.clock.now()
        return [replace(case, read_at=now) for case in cases.values()]

    async def _read_events(self, gathered: Gathered, since: datetime) -> None:
        sequence = await self._events.sequence_at(since)
        if sequence is not None:
            async for _, group in self._events.read_groups(sequence):
                for event in group:
                    gathered.event(event)

    async def _read_jobs(self, gathered: Gathered) -> None:
        """What is queued, deferred or dead; a record that cannot be read is not a trace of anything."""
        for pattern in (ALL_JOBS, ALL_DEFERRED, ALL_DEAD):
            async for entries in self._kv.scan(pattern):
                for entry in entries:
                    if entry.value is not None and (job := _job(entry.key, entry.value)) is not None:
                        gathered.job(entry.key, job)

    async def _look_again(self, cases: dict[str, Case]) -> None:
        """Read the records once more that do not know of a fire which left a trace; at first without waiting."""
        for number in range(LOOK_AGAIN):
            doubtful = [name for name, case in cases.items() if outruns(case)]
            if not doubtful:
                return
            if number:
                await self.clock.sleep(LOOK_AGAIN_AFTER)
            entries = await self._kv.get_many([schedule_key(name) for name in doubtful])
            for name in doubtful:
                entry = entries.get(schedule_key(name))
                cases[name] = replace(
                    cases[name],
                    latest=None if entry is None or entry.value is None else _record(entry.key, entry.value),
                )


def _judged(case: Case, question: Question) -> Judged:
    """The judgement; of a definition that makes no sense, only that: the others are judged all the same."""
    try:
        return judge(case, question)
    except PLANNING_ERRORS as error:
        return quarantined(case.record.schedule_id, flaw_text(error))


def _job(key: str, value: bytes) -> QueuedJob | None:
    try:
        return decode(DeadJob, key, value).job if is_dead(key) else decode(QueuedJob, key, value)
    except RecordUnreadable:
        return None


def _record(key: str, value: bytes) -> Schedule | None:
    try:
        return decode(Schedule, key, value)
    except RecordUnreadable:
        return None


ServiceManager.register_service("verify", VerifyService)
