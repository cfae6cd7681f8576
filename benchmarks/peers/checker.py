"""The checker, one for all: which runs of schedules that are due once a second were lost, and which came twice.

A schedule's targets are one every second, inside of a window that begins when all is running. Software that says for which
nominal time a run stands is taken at its word. For the others there is one rule, made in their favour: a schedule's targets
are counted from its first run inside the window; a run belongs to the nearest target; if that one has a run already, it
belongs to the latest target before it that has none, as if it had come late; only if there is no such target is it a run too
many. A lost run can hide one that came twice by this, and no run is counted that was not made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.runs import Run
from benchmarks.world import percentile

__all__ = ["Verdict", "judge"]

STEP = 1.0
"""Seconds between two targets of a schedule."""


@dataclass(frozen=True)
class Verdict:
    """What became of the targets inside the window."""

    targets: int
    lost: int
    """Targets without a run."""
    duplicate: int
    """Runs beyond the first of a target."""
    lateness: tuple[float, ...]
    """Seconds from each target to the start of its first run, sorted."""

    def late(self, share: float) -> float:
        """The lateness in milliseconds below which that share of the runs lie."""
        return percentile(self.lateness, share) * 1000


def judge(schedules: Iterable[str], runs: Iterable[Run], begin: float, end: float) -> Verdict:
    """Match all runs with the targets at or after ``begin`` and before ``end`` (epoch seconds).

    A schedule that never ran has one target a second, all of them lost.
    """
    by_schedule: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.started):
        by_schedule[run.schedule].append(run)
    targets = lost = duplicate = 0
    lateness: list[float] = []
    for schedule in schedules:
        found = _matched(by_schedule[schedule], begin)
        first = min(found, default=begin)
        wanted = _between(first, begin, end)
        targets += len(wanted)
        for target in wanted:
            starts = found.get(target, [])
            lost += not starts
            duplicate += max(0, len(starts) - 1)
            lateness += [start - target for start in starts[:1]]
    return Verdict(targets, lost, duplicate, tuple(sorted(lateness)))


def _matched(runs: Sequence[Run], begin: float) -> dict[float, list[float]]:
    """Target -> when its runs began; ``runs`` are those of one schedule, in the order in which they began."""
    found: dict[float, list[float]] = defaultdict(list)
    for run in runs:
        if run.nominal is not None:
            found[_rounded(run.nominal)].append(run.started)
            continue
        if run.started < begin:
            continue
        first = min(found, default=_rounded(run.started))
        nearest = _rounded(first + round((run.started - first) / STEP) * STEP)
        found[_free(found, first, nearest)].append(run.started)
    return found


def _free(found: dict[float, list[float]], first: float, nearest: float) -> float:
    """The latest target up to the nearest one that has no run; the nearest one when all have."""
    target = nearest
    while target >= first:
        if target not in found:
            return target
        target = _rounded(target - STEP)
    return nearest


def _between(first: float, begin: float, end: float) -> list[float]:
    number = -int((first - begin) // STEP)
    targets = []
    while (target := _rounded(first + number * STEP)) < end:
        if target >= begin:
            targets.append(target)
        number += 1
    return targets


def _rounded(instant: float) -> float:
    """To microseconds, so that sums are equal that should be."""
    return round(instant, 6)
