"""Jobs and fires a second, lateness and memory: of this tree and of an earlier commit, in turns in one run.

Each tree runs its own benchmarks, whose rows have the same names, in processes of its own; so whatever else the machine does
falls on both. Of the turns the best figure of a row counts. What the compared commit does not measure is left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.start import BEFORE, ROOT, worktree
from benchmarks.world import Row

PROGRAM = """
import asyncio, json, sys
from benchmarks.fires import burst, steady
from benchmarks.idle import idle
from benchmarks.jobs import jobs
size = json.loads(sys.argv[1])
rows = asyncio.run(jobs(size["jobs"], size["rate"], size["seconds"]))
rows += asyncio.run(burst(size["burst"]))
rows += asyncio.run(steady(size["steady"], size["seconds"]))
rows += asyncio.run(idle(size["idle"], 5.0))
print(json.dumps({row.name: row.figure for row in rows}))
"""
NUMBER = re.compile(r"(-?[\d,]*\.?\d+) ?(\S*)")


def before(size: dict[str, int], commit: str = BEFORE, turns: int = 3) -> list[Row]:
    """One row for each figure that both trees have: now, before, and the ratio of the two. ``size``: how many ``jobs``, how
    many schedules in a ``burst``, ``steady`` and ``idle``, and the ``rate`` of fires for so many ``seconds``."""
    with worktree(commit) as source:
        trees = {"now": ROOT, "before": source.parent}
        found: dict[str, list[dict[str, str]]] = {name: [] for name in trees}
        for _ in range(turns):
            for name, tree in trees.items():
                found[name].append(_figures(tree, size))
    names = [name for name in found["now"][0] if name in found["before"][0]]
    rows = [_row(name, *([turn[name] for turn in found[tree]] for tree in trees)) for name in names]
    return [row for row in rows if row is not None]


def _figures(tree: Path, size: dict[str, int]) -> dict[str, str]:
    """The figures of a tree, by the name of the row."""
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}"}
    command = [sys.executable, "-P", "-c", PROGRAM, json.dumps(size)]
    done = subprocess.run(command, env=environment, cwd=tree, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _row(name: str, now: list[str], earlier: list[str]) -> Row | None:
    """The best figures of a row beside each other; ``None`` for one that is no single number."""
    numbers = [NUMBER.fullmatch(figure.strip()) for figure in (*now, *earlier)]
    parsed = [(float(found[1].replace(",", "")), found[2]) for found in numbers if found is not None]
    if len(parsed) < len(numbers):
        return None
    unit = parsed[0][1]
    is_rate = unit.endswith("/s")
    best = max if is_rate else min
    mine, theirs = (best(value for value, _ in part) for part in (parsed[: len(now)], parsed[len(now) :]))
    ratio = f"{mine / theirs:.2f}" if theirs else "-"
    return Row(
        name, f"{mine:,.2f} {unit}", f"{'>=' if is_rate else '<='} 1.00 x before", f"{theirs:,.2f} {unit}", ratio
    )
