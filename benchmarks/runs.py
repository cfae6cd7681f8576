"""Runs of jobs, written down by the jobs themselves: one line a run, appended to a file that all processes share.

The standard library only, for the programs of other software import it too. A line is written by one `os.write` to a
file that is open for appending: the kernel neither mixes the lines of several processes nor loses one that was written.
"""

from __future__ import annotations

import functools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

RECORDS = "BENCHMARK_RUNS"
"""The environment variable that holds the file's path."""


@dataclass(frozen=True)
class Run:
    """One run of a schedule's job. Times are epoch seconds."""

    schedule: str
    started: float
    nominal: float | None = None
    """The time it stands for, if whoever ran it says so."""
    fired: float | None = None
    """When it was fired, if whoever ran it says so."""

    @property
    def late(self) -> float:
        """Milliseconds from its nominal time, which must be known, to its start."""
        assert self.nominal is not None
        return (self.started - self.nominal) * 1000

    @property
    def fired_late(self) -> float:
        """Milliseconds from its nominal time to its fire; both must be known."""
        assert self.nominal is not None
        assert self.fired is not None
        return (self.fired - self.nominal) * 1000


def write_run(schedule: str, nominal: float | None = None, fired: float | None = None) -> None:
    """Write down that a run of ``schedule`` has begun now."""
    line = json.dumps({"schedule": schedule, "started": time.time(), "nominal": nominal, "fired": fired})
    os.write(_file(os.environ[RECORDS], os.getpid()), line.encode() + b"\n")


def read_runs(path: Path) -> list[Run]:
    """All runs in a file, in the order in which they were written; none when there is no file yet."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def count_runs(path: Path) -> int:
    """How many runs are in a file."""
    return path.read_bytes().count(b"\n")


@functools.cache
def _file(path: str, pid: int) -> int:
    """The open file, once for each process: a child that was forked opens its own."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
