"""The report of a fault run: what was done, what was broken, and how long it took; a line of JSON each, and a table of them.

``python -m tests.faults.report DIRECTORY`` prints the Markdown table of what was written there, as `docs/reliability.md`
shows it. The tests write into the directory that the environment names as ``FAULT_REPORTS``, else into one of pytest's
temporary directories, which the end of the run names.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.oracle.written import Lateness

if TYPE_CHECKING:
    from tests.faults.world import Recorder, Verdict

__all__ = ["FaultRun", "Reports", "read", "table"]

ROOT = Path(__file__).parents[2]
FEW = 4
"""Measured times that a cell shows one by one; of more it shows the median and the longest."""


class FaultRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one fault. Times are seconds."""

    fault: str
    """What was done, in words; runs of the same fault are one row of the table."""
    test: str
    """Where it is written down, e.g. ``test_leader.py``."""
    fires: int
    """Jobs that were enqueued."""
    lost: int
    duplicate: int
    untargeted: int
    stale: int
    repeated: int | None = None
    """Jobs that ran more than once; ``None`` when no worker took part."""
    lateness: Lateness | None = None
    """Fired time against nominal time, as the stream says both."""
    failover: tuple[float, ...] = ()
    """For each blow: from it until fires went on."""
    healing: tuple[float, ...] = ()
    """For each blow: from its end until the last fire that was late."""
    notes: dict[str, str] = {}
    """What else is worth telling, by name."""
    seed: int | None = None
    commit: str = "unknown"
    at: datetime
    machine: str = "unknown"

    @property
    def clean(self) -> bool:
        """Whether every promise about enqueuing was kept."""
        return not (self.lost or self.duplicate or self.untargeted or self.stale)


class Reports:
    """Writes the runs of one test; ``tell`` is called with each."""

    def __init__(self, directory: Path, test: str, tell: Callable[[FaultRun], None] = lambda run: None) -> None:
        self.directory = directory
        self._test = test
        self._tell = tell

    def write(
        self,
        fault: str,
        verdict: Verdict,
        recorder: Recorder,
        *,
        failover: Iterable[timedelta] = (),
        healing: Iterable[timedelta] = (),
        repeated: int | None = None,
        seed: int | None = None,
        timed: bool = True,
        **notes: object,
    ) -> FaultRun:
        """Add a run to the file of this process. To be called before the test's assertions: a broken promise is reported.

        ``timed``: whether the leaders' clocks were right, so that lateness means something.
        """
        run = FaultRun(
            fault=fault,
            test=self._test,
            fires=len(recorder.fires),
            lost=len(verdict.lost),
            duplicate=len(verdict.duplicate),
            untargeted=len(verdict.untargeted),
            stale=len(verdict.stale),
            repeated=repeated,
            lateness=recorder.lateness() if timed else None,
            failover=tuple(taken.total_seconds() for taken in failover),
            healing=tuple(taken.total_seconds() for taken in healing),
            notes={name.replace("_", " "): str(note) for name, note in notes.items()},
            seed=seed,
            commit=_commit(),
            at=datetime.now(UTC),
            machine=_machine(),
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / f"{os.getpid()}.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(run) + b"\n")
        self._tell(run)
        return run


def read(directory: Path) -> list[FaultRun]:
    """All runs that were written into a directory, the oldest first. Raises `msgspec.ValidationError` for other lines."""
    lines = (line for path in directory.glob("*.jsonl") for line in path.read_bytes().splitlines())
    return sorted((msgspec.json.decode(line, type=FaultRun) for line in lines), key=lambda run: run.at)


def table(runs: Sequence[FaultRun]) -> str:
    """The runs as a Markdown table, a row for each fault, and below it when, where and on which commit they were made."""
    faults: dict[str, list[FaultRun]] = {}
    for run in runs:
        faults.setdefault(run.fault, []).append(run)
    head = ["fault", "test", "LF", "DF", "XF", "SW", "DE", "fires", "LAT p50 / p99 / max", "FO", "HT", "notes"]
    ordered = sorted(faults.items(), key=lambda item: (item[1][0].test, item[0]))
    rows = [head, ["---"] * len(head), *(_row(fault, of_one) for fault, of_one in ordered)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *_circumstances(runs)])


def _row(fault: str, runs: Sequence[FaultRun]) -> list[str]:
    counted = [
        sum(counts) for counts in zip(*((r.lost, r.duplicate, r.untargeted, r.stale) for r in runs), strict=True)
    ]
    repeated = [run.repeated for run in runs if run.repeated is not None]
    notes = dict.fromkeys(f"{name} {note}" for run in runs for name, note in run.notes.items())
    return [
        fault if len(runs) == 1 else f"{fault} ({len(runs)} runs)",
        ", ".join(f"`{test}`" for test in dict.fromkeys(run.test for run in runs)),
        *(str(count) for count in counted),
        str(sum(repeated)) if repeated else "",
        f"{sum(run.fires for run in runs):,}",
        _latest([run.lateness for run in runs if run.lateness is not None]),
        _times([taken for run in runs for taken in run.failover]),
        _times([taken for run in runs for taken in run.healing]),
        "; ".join(notes),
    ]


def _latest(lates: Sequence[Lateness]) -> str:
    """The percentiles of the run that was latest."""
    if not lates:
        return ""
    late = max(lates, key=lambda it: it.max)
    return f"{late.p50:.3f} / {late.p99:.3f} / {late.max:.3f} s"


def _times(taken: Sequence[float]) -> str:
    if not taken:
        return ""
    if len(taken) <= FEW:
        return ", ".join(f"{each:.2f}" for each in taken) + " s"
    ordered = sorted(taken)
    return f"median {ordered[len(ordered) // 2]:.2f}, longest {ordered[-1]:.2f} s ({len(ordered)} times)"


def _circumstances(runs: Sequence[FaultRun]) -> Iterator[str]:
    if not runs:
        return
    days = dict.fromkeys(f"{run.at:%Y-%m-%d}" for run in runs)
    commits = dict.fromkeys(run.commit for run in runs)
    machines = dict.fromkeys(run.machine for run in runs)
    yield f"Made on {', '.join(days)}, commit {', '.join(commits)}, on {', '.join(machines)}."


@cache
def _commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=7"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return said.stdout.strip() or "unknown"


@cache
def _machine() -> str:
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of a directory; exit code 1 when a promise was broken in one of its runs, 2 when there are none."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description=main.__doc__)
    parser.add_argument("directory", type=Path, help="where the runs were written, e.g. the FAULT_REPORTS of the tests")
    directory = parser.parse_args(arguments).directory
    runs = read(directory)
    if not runs:
        print(
            f"no run was written into {directory}: run FAULT_REPORTS={directory} ./dev slow tests/faults first",
            file=sys.stderr,
        )
        return 2
    print(table(runs))
    return 0 if all(run.clean for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
