"""The soak: random blows at one fleet under load, one after the other, for as long as asked; every fire is judged.

``python -m tests.faults.soak 10m`` (``./dev soak 10m``, ``make soak DURATION=10m``). The seed is printed; given back with
``--seed`` the same blows fall in the same order. After each blow, when it is over, everything that came due is waited for
and judged, and a line is written into the report. At the end ``naq verify`` is asked about all of it. The exit code is 0 when
no fire was lost, repeated or fired without a target, no stale leader wrote, and every job ran; else 1, at once.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from naq.exceptions import InvalidInput
from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.observe.verify.service import VerifyService
from naq.timing.duration import duration_text, parse_duration
from tests.faults.blows import Blow, draw
from tests.faults.fleet import Fleet, fleet, now
from tests.faults.report import FaultRun, Reports, read, table
from tests.faults.world import Verdict

__all__ = ["Soak", "main"]

COUNT = 100
"""Schedules, each due every second."""
SCHEDULERS = ("one", "two", "three")
WORKERS = ("w1", "w2")
CALM = timedelta(seconds=2)
"""Between two blows."""
LAST_LINES = 40
"""Of each process, that are shown when something went wrong."""


class Soak:
    """One run on one fleet."""

    def __init__(self, world: Fleet, reports: Reports, seed: int, marks: Path) -> None:
        self.broken = ""
        """What went wrong; empty while nothing did."""
        self._world = world
        self._reports = reports
        self._seed = seed
        self._rng = random.Random(seed)
        self._marks = marks
        self._read_to = 0
        self._ran: Counter[str] = Counter()
        self._fired: set[str] = set()
        self._repeated = 0

    async def run(self, duration: timedelta) -> None:
        """Strike until the time is over, or something went wrong."""
        ends_at = now() + duration
        number = 0
        while not self.broken and (left := ends_at - now()) > CALM:
            number += 1
            await self._round(number, draw(self._rng, left - CALM))
        if not self.broken:
            await self._all_ran()
        if not self.broken:
            await self._verified(ends_at - duration)

    async def _round(self, number: int, blow: Blow) -> None:
        world = self._world
        print(f"{now():%H:%M:%S} {number}: {blow.what}", flush=True)
        terms, struck_at = len(world.recorder.terms), now()
        try:
            await blow.strike(world)
            healed_at = now()
            taken = await world.goes_on(struck_at)
            await asyncio.sleep(CALM.total_seconds())
            until = now()
            await world.recorder.until_nominal(until + timedelta(seconds=1))
        except TimeoutError:
            self.broken = f"round {number}: fires did not go on after: {blow.what}"
            return
        verdict = await world.complete(lambda: self._without_those_that_ran(world.judged(until)))
        self._fired.update(job.job_id for _, job in world.recorder.fires)
        before, self._repeated = self._repeated, sum(times > 1 for times in self._ran.values())
        self._reports.write(
            f"soak: {blow.what}",
            verdict,
            world.recorder,
            failover=[taken],
            healing=[world.recorder.steady_after(healed_at)],
            repeated=self._repeated - before,
            seed=self._seed,
            terms=len(world.recorder.terms) - terms,
        )
        if not verdict.clean:
            self.broken = f"round {number}: {blow.what}: {_told(verdict)}"
        world.forget(until)

    def _without_those_that_ran(self, verdict: Verdict) -> Verdict:
        """A job that the recorder did not see has left its mark."""
        with self._marks.open() as file:
            file.seek(self._read_to)
            self._ran.update(line.split()[1] for line in file)
            self._read_to = file.tell()
        return verdict.unless_ran(self._ran)

    async def _all_ran(self) -> None:
        """Wait until every job that was seen in the stream has run."""
        try:
            async with asyncio.timeout(60):
                while missing := self._fired - self._ran.keys():
                    await asyncio.sleep(0.5)
                    self._without_those_that_ran(Verdict((), (), (), ()))
        except TimeoutError:
            self.broken = f"{len(missing)} jobs were enqueued and never ran: {sorted(missing)[:5]} ..."

    async def _verified(self, since: datetime) -> None:
        """What ``naq verify`` says, from what is left of all that happened, while it goes on."""
        async with ServiceManager({"nats_url": self._world.url}) as services:
            verdict = await (await services.get_service(VerifyService)).verify(since=since)
        figures = verdict.figures
        print(
            f"naq verify: {figures.fired} fired, {len(verdict.findings)} findings, {figures.unproven} unproven",
            flush=True,
        )
        if not verdict.clean:
            first = verdict.findings[0]
            self.broken = f"naq verify: {len(verdict.findings)}, first {first.kind} {first.schedule_id}: {first.why}"


def _told(verdict: Verdict) -> str:
    """The first of each kind."""
    kinds = {"LF": verdict.lost, "DF": verdict.duplicate, "XF": verdict.untargeted, "SW": verdict.stale}
    return ", ".join(f"{kind} {len(found)} ({', '.join(found[:3])} ...)" for kind, found in kinds.items() if found)


async def soak(duration: timedelta, seed: int, reports: Reports) -> str:
    """Run a soak; what went wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix="naq-soak-") as directory:
        marks = Path(directory) / "marks"
        marks.touch()
        async with fleet(Path(directory), SCHEDULERS) as world:
            for name in WORKERS:
                await world.start_worker(name)
            await world.load(COUNT, Job(func="tests.faults.jobs:leave_mark", args=[str(marks)]))
            one = Soak(world, reports, seed, marks)
            await one.run(duration)
            if one.broken:
                for name, process in {**world.schedulers, **world.workers}.items():
                    print(f"--- {name}", *process.lines[-LAST_LINES:], sep="\n")
            return one.broken


def verdict_of(runs: Sequence[FaultRun], broken: str) -> int:
    """The exit code."""
    return 1 if broken or not runs or not all(run.clean for run in runs) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Random faults on real processes for a while, then the table of what was done and found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=main.__doc__)
    parser.add_argument("duration", help="for how long, e.g. 10m")
    parser.add_argument("--seed", type=int, help="that an earlier run printed, to have the same blows again")
    parser.add_argument("--reports", type=Path, help="directory for the report (default: a new temporary one)")
    given = parser.parse_args(arguments)
    try:
        duration = parse_duration(given.duration, "duration")
    except InvalidInput as error:
        parser.error(str(error))
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    directory = given.reports or Path(tempfile.mkdtemp(prefix="naq-soak-reports-"))
    print(f"soak for {duration_text(duration)}, seed {seed}; the report goes to {directory}", flush=True)
    logging.basicConfig(level=logging.ERROR)
    broken = asyncio.run(soak(duration, seed, Reports(directory, "soak.py")))
    runs = [run for run in read(directory) if run.seed == seed] if directory.exists() else []
    if runs:
        print(table(runs))
    print(f"broken: {broken}" if broken else f"{len(runs)} blows, nothing broken", f"(seed {seed})")
    return verdict_of(runs, broken)


if __name__ == "__main__":
    sys.exit(main())
