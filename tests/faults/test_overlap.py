"""The leader is killed while runs of every overlap policy are open: the one that takes over keeps each policy.

Six schedules fire once a second, one for each policy, and their job takes longer than that. What the policies promise
is read from the stream, from the schedules' records and history, and from the marks that the jobs themselves leave.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from naq.jobs.history import HistoryRecord
from naq.jobs.job import Job, JobStatus
from naq.jobs.records import JobInfo
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.schedules.policy import Overlap
from naq.schedules.run_end import Superseded
from tests.faults.fleet import Fleet, fleet, now
from tests.faults.test_workers import Mark, marks
from tests.worker.conftest import until

TIMES = 12
"""Nominal times of each schedule, a second apart."""
TAKES = 1.6
STOPPED = (Overlap.CANCEL_OTHER, Overlap.TERMINATE_OTHER)
REASONS = {Overlap.CANCEL_OTHER: Superseded.ASKED_TO_STOP, Overlap.TERMINATE_OTHER: Superseded.GIVEN_UP}
TRACKED = [overlap for overlap in Overlap if overlap is not Overlap.ALLOW_ALL]
ONE_AT_A_TIME = (Overlap.SKIP, Overlap.BUFFER_ONE, Overlap.BUFFER_ALL, Overlap.CANCEL_OTHER)


class Outcome:
    """What one schedule came to."""

    def __init__(
        self,
        name: str,
        entry: dict[str, Any],
        world: Fleet,
        found: Sequence[Mark],
        history: Sequence[HistoryRecord],
        infos: Sequence[JobInfo],
    ) -> None:
        self.entry = entry
        self.fired = [job.nominal_at for _, job in world.recorder.fires if job.schedule_id == name]
        self.marks = [mark for mark in found if mark.job_id.startswith(f"{name}/")]
        self.started = [mark.job_id for mark in self.marks if mark.what == "start"]
        self.ended = {mark.job_id for mark in self.marks if mark.what == "end"}
        self.unfired = [record for record in history if not record.outcome.fired]
        self.infos = sorted(infos, key=lambda info: info.job_id)
        self.statuses = {info.job_id: info.status for info in infos}


async def create(world: Fleet, path: Path) -> list[datetime]:
    """The six schedules, named after their policies; their nominal times."""
    first = now().replace(microsecond=0) + timedelta(seconds=2)
    times = [first + timedelta(seconds=number) for number in range(TIMES)]
    for overlap in Overlap:
        form = {
            "type": "interval",
            "interval": 1,
            "anchor": first.timestamp(),
            "end_at": times[-1].isoformat(),
            "catch_up": None,
            "coalesce": "all",
            "overlap": overlap,
        }
        job = Job(func="tests.faults.jobs:linger", args=[str(path), TAKES])
        await world.schedules.schedule_job(job, form, schedule_id=str(overlap))
    return times


async def kill_the_leader_while_runs_are_open(world: Fleet) -> set[str]:
    """Kill it once every schedule has fired and all that track their runs have one open; what was open while nobody led."""
    open_runs: set[str] = set()

    async def all_open() -> bool:
        records = [await world.schedules.schedules.get(str(overlap)) for overlap in TRACKED]
        open_runs.clear()
        open_runs.update(run.job_id for record in records if record is not None for run in record.open_runs)
        return len(open_runs) == len(TRACKED) and all(record is not None and record.runs >= 2 for record in records)

    await until(all_open)
    struck_at = now()
    name = world.recorder.leader
    leader = world.schedulers[name]
    leader.signal(signal.SIGKILL)
    await leader.ended()
    await world.goes_on(struck_at)
    # Between the look and the blow it may have fired once more.
    fired_last = {job.schedule_id: job.job_id for _, job in world.recorder.fires if job.enqueued_by == name}
    return open_runs | set(fired_last.values())


async def at_rest(world: Fleet) -> None:
    """Wait until every schedule has ended, and nothing of it is open or waits."""

    async def all_ended() -> bool:
        records = [await world.schedules.schedules.get(str(overlap)) for overlap in Overlap]
        return all(
            record is not None and record.status == "completed" and not record.open_runs and not record.buffered
            for record in records
        )

    await until(all_ended, 90)


async def looked_at(world: Fleet, path: Path) -> dict[Overlap, Outcome]:
    async with ServiceManager({"nats_url": world.server.url}) as services:
        jobs = await services.get_service(JobService)

        async def nothing_left() -> bool:
            return not await jobs.list_jobs(status=["queued", "running", "deferred"])

        await until(nothing_left, 60)
        made = {}
        for overlap in Overlap:
            name = str(overlap)
            entry = await world.schedules.get_schedule(name)
            assert entry is not None
            history, infos = await jobs.history.history(name), await jobs.list_jobs(schedule_id=name)
            made[overlap] = Outcome(name, entry, world, marks(path), history, infos)
    return made


@pytest.mark.slow
async def test_every_overlap_policy_survives_its_leader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "marks"
    async with fleet(tmp_path) as world:
        await world.start_worker("worker", NAQ_CONCURRENCY="50")
        times = await create(world, path)
        struck = await kill_the_leader_while_runs_are_open(world)
        await at_rest(world)
        outcomes = await looked_at(world, path)
    with capsys.disabled():
        for overlap, outcome in outcomes.items():
            counted = f"{len(outcome.fired)} fired, {outcome.entry['skipped']} skipped, {len(outcome.ended)} ended"
            print(f"\n{overlap}: {counted}", end="")
    for overlap, outcome in outcomes.items():
        assert len(outcome.fired) == len(set(outcome.fired)) == outcome.entry["runs"], overlap
        assert set(outcome.fired) <= set(times)
        # Each nominal time is accounted for: it fired, or it was skipped for the reason that is recorded.
        assert len(outcome.fired) + outcome.entry["skipped"] == TIMES, overlap
        assert (outcome.entry["missed"], outcome.entry["error_count"]) == (0, 0)
        assert {record.reason for record in outcome.unfired} <= {"the previous run was not finished"}
        assert len(outcome.started) == len(set(outcome.started)), "nothing ran twice"
        if overlap in ONE_AT_A_TIME:
            assert one_after_the_other(outcome.infos), overlap
        if overlap in STOPPED:
            # The last run ends by itself, and so may the one that was open while nobody led.
            left_alone = {outcome.started[-1]} | (struck & set(outcome.started))
            assert outcome.ended <= left_alone, overlap
            stopped = {status for job_id, status in outcome.statuses.items() if job_id not in left_alone}
            assert stopped == {JobStatus.CANCELLED}, overlap
        else:
            assert outcome.ended == set(outcome.started), overlap
            assert set(outcome.statuses.values()) == {JobStatus.COMPLETED}, overlap
    for overlap in (Overlap.ALLOW_ALL, Overlap.BUFFER_ALL):
        assert outcomes[overlap].entry["skipped"] == 0
    in_order = outcomes[Overlap.BUFFER_ALL].started
    assert in_order == sorted(in_order), "what waits runs in the order of its nominal times"
    for overlap in (Overlap.SKIP, Overlap.BUFFER_ONE):
        assert outcomes[overlap].entry["skipped"] > 0, overlap
    # The first that waits is kept and runs at once; with skip a whole interval is waited for.
    assert len(outcomes[Overlap.BUFFER_ONE].fired) > len(outcomes[Overlap.SKIP].fired)


def one_after_the_other(infos: Sequence[JobInfo]) -> bool:
    """Whether no run was enqueued before the one before it had ended."""
    return all(
        before.ended_at is not None and after.enqueued_at is not None and before.ended_at <= after.enqueued_at
        for before, after in pairwise(infos)
    )


@pytest.mark.slow
@pytest.mark.parametrize("overlap", STOPPED)
async def test_a_leader_dies_between_its_decision_and_telling_the_worker(tmp_path: Path, overlap: Overlap) -> None:
    """The decision is committed, and nobody tells: the worker ends the run before by itself, and the newer one goes on."""
    path = tmp_path / "marks"
    async with fleet(tmp_path, ()) as world:
        fatal = await world.start_scheduler("fatal", module="tests.faults.untold")
        await world.recorder.until(lambda: world.recorder.leader == "fatal")
        await world.start_scheduler("next")
        await world.start_worker("worker")
        form = {"type": "interval", "interval": 2, "max_runs": 2, "overlap": overlap}
        await world.schedules.schedule_job(
            Job(func="tests.faults.jobs:linger", args=[str(path), 15.0]), form, schedule_id="s"
        )
        await fatal.ended()
        async with ServiceManager({"nats_url": world.server.url}) as services:
            jobs = await services.get_service(JobService)

            async def both_ended() -> bool:
                return [info.status.ended for info in await jobs.list_jobs(schedule_id="s")] == [True, True]

            await until(both_ended, 60)
            before, newer = sorted(await jobs.list_jobs(schedule_id="s"), key=lambda info: info.job_id)

            async def told() -> bool:
                return len(await jobs.history.history("s")) == 2

            await until(told)
            reasons = {record.job_id: record.reason for record in await jobs.history.history("s")}
        record = await world.schedules.schedules.get("s")
        found = marks(path)
    assert (before.status, newer.status) == (JobStatus.CANCELLED, JobStatus.COMPLETED)
    assert reasons == {before.job_id: REASONS[overlap], newer.job_id: None}
    assert [(mark.what, mark.job_id) for mark in found] == [
        ("start", before.job_id),
        ("start", newer.job_id),
        ("end", newer.job_id),
    ]
    assert record is not None
    assert (record.status, record.open_runs, record.buffered, record.error_count) == ("completed", (), (), 0)
