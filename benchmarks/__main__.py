"""``python -m benchmarks [--only start,planning,burst,...] [--idle 100000 1000000]`` prints a table of figures.

``--only before`` measures jobs and fires a second, lateness and memory of this tree and of an earlier commit (``--commit``).
"""

from __future__ import annotations

import argparse
import asyncio
import platform

from rich.console import Console
from rich.table import Table

from benchmarks.before import before
from benchmarks.fires import burst, steady
from benchmarks.idle import idle
from benchmarks.jobs import jobs
from benchmarks.planning import planning
from benchmarks.sharing import sharing
from benchmarks.start import BEFORE, start
from benchmarks.times import times
from benchmarks.world import Row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        default="start,planning,times,burst,steady,jobs,sharing,idle",
        help="which to run, separated by commas",
    )
    parser.add_argument("--burst", type=int, nargs="+", default=[10_000, 100_000], help="schedules due at one instant")
    parser.add_argument("--steady", type=int, default=1_000, help="schedules that fire once a second")
    parser.add_argument("--seconds", type=int, default=60, help="for how many seconds")
    parser.add_argument("--jobs", type=int, default=20_000, help="trivial jobs from enqueueing to result")
    parser.add_argument("--rate", type=int, default=200, help="fires a second, each timed until its function starts")
    parser.add_argument(
        "--idle", type=int, nargs="+", default=[100_000], help="schedules that are not due, e.g. 1000000"
    )
    parser.add_argument("--against", help="another source tree, whose time engine is asked in the same run")
    parser.add_argument("--commit", default=BEFORE, help="the commit that 'before' and 'start' compare with")
    parser.add_argument("--turns", type=int, default=3, help="how often 'before' measures each of the two")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    rows: list[Row] = []
    if "start" in chosen:
        rows += start(arguments.commit)
    if "before" in chosen:
        size = {"jobs": arguments.jobs, "rate": arguments.rate, "seconds": min(arguments.seconds, 15)}
        size |= {"burst": arguments.burst[0], "steady": arguments.steady, "idle": arguments.idle[0]}
        rows += before(size, arguments.commit, arguments.turns)
    if "planning" in chosen:
        rows += planning()
    if "times" in chosen:
        rows += times(arguments.against)
    if "burst" in chosen:
        for count in arguments.burst:
            rows += asyncio.run(burst(count))
    if "steady" in chosen:
        rows += asyncio.run(steady(arguments.steady, arguments.seconds))
    if "jobs" in chosen:
        rows += asyncio.run(jobs(arguments.jobs, arguments.rate, min(arguments.seconds, 15)))
    if "sharing" in chosen:
        rows += asyncio.run(sharing())
    if "idle" in chosen:
        for count in arguments.idle:
            rows += asyncio.run(idle(count))
    table = Table(title=f"naq on Python {platform.python_version()}, {platform.machine()}, sync on every write")
    for heading in ("what", "figure", "target", "bare loop, same run", "ratio"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row in rows:
        table.add_row(row.name, row.figure, row.target, row.limit, row.ratio)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
