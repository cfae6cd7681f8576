"""Workers are killed in the middle of jobs of a schedule that allows one open run: it comes again, and is alone until it ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from naq.jobs.job import Job
from tests.faults.fleet import Fleet, fleet
from tests.faults.report import Reports
from tests.faults.world import Recorder

KILLS = 3
ACK_WAIT = 1.5
LONGER = 2.0
"""Seconds that a job takes: more than ``ACK_WAIT``, so that only its heartbeat keeps it from being handed out again."""


@dataclass(frozen=True)
class Mark:
    """One line that a job left."""

    what: str
    job_id: str
    pid: int


def marks(path: Path) -> list[Mark]:
    """The lines so far, in their order."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Mark(what, job_id, int(pid)) for what, job_id, pid in (line.split() for line in lines)]


async def running(path: Path) -> Mark:
    """Wait until the job of ``alone`` runs; its mark."""
    async with asyncio.timeout(60):
        while True:
            of_one = [mark for mark in marks(path) if mark.job_id.startswith("alone/")]
            if of_one and of_one[-1].what == "start":
                return of_one[-1]
            await asyncio.sleep(0.05)


async def kill_worker_with(world: Fleet, pid: int) -> None:
    name = next(name for name, worker in world.workers.items() if worker.pid == pid)
    await world.workers[name].kill()
    await world.start_worker(name, NAQ_ACK_WAIT=str(ACK_WAIT))


@pytest.mark.slow
async def test_a_run_that_lost_its_worker_is_open_until_it_ran_again(tmp_path: Path, reports: Reports) -> None:
    path = tmp_path / "marks"
    async with fleet(tmp_path, ("one",)) as world:
        for name in ("w1", "w2"):
            await world.start_worker(name, NAQ_ACK_WAIT=str(ACK_WAIT))
        form = {"type": "interval", "interval": 0.5, "overlap": "skip"}
        job = Job(func="tests.faults.jobs:linger", args=[str(path), LONGER])
        await world.schedules.schedule_job(job, form, schedule_id="alone")
        await world.load(20, Job(func="tests.faults.jobs:leave_mark", args=[str(path)]))
        struck: list[str] = []
        for _ in range(KILLS):
            mark = await running(path)
            struck.append(mark.job_id)
            await kill_worker_with(world, mark.pid)
            await world.recorder.until(lambda: is_open_no_more(world.recorder, struck[-1]))
        verdict = await world.settled(but=("alone",))
        ran = Counter(mark.job_id for mark in marks(path) if mark.what == "start")
        again = [job_id for job_id, times in ran.items() if times > 1]
        reports.write(
            f"worker killed in the middle of a job, {KILLS} times; the job takes longer than ack_wait",
            verdict,
            world.recorder,
            repeated=len(again),
            kills=KILLS,
        )
    assert verdict.clean, verdict
    # A job ran again because its worker was killed, and for no other reason.
    assert set(struck) <= set(again)
    assert [job_id for job_id in again if job_id.startswith("alone/")] == struck
    assert never_two_at_once(marks(path), "alone/")


def is_open_no_more(recorder: Recorder, job_id: str) -> bool:
    """Whether the schedule fired again behind a job: its run has ended."""
    mine = [job.job_id for _, job in recorder.fires if job.schedule_id == "alone"]
    return mine[-1] != job_id


def never_two_at_once(found: list[Mark], prefix: str) -> bool:
    """Whether no job began before the one before it had ended (its other attempts aside)."""
    open_run: str | None = None
    for mark in found:
        if not mark.job_id.startswith(prefix):
            continue
        if open_run not in (None, mark.job_id):
            return False
        open_run = mark.job_id if mark.what == "start" else None
    return True
