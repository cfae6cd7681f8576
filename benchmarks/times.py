"""The time engine: next times, and the slowest triggers of a corpus; two source trees can be compared in one run.

Both trees answer the same questions, in turns and in processes of their own, so that whatever else the machine does falls on
both; of the turns the best one counts. ``python -m benchmarks --only times --against OTHER/src``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.world import Row

TURNS = 5
HERE = Path(__file__).resolve().parent.parent


def times(against: str | None) -> list[Row]:
    """Microseconds for the next time, each asked for from the one before; milliseconds for the corpus."""
    mine, other = str(HERE / "src"), against
    found: dict[str, list[dict[str, float]]] = {mine: []}
    for _ in range(TURNS):
        for tree in (mine, other):
            if tree is not None:
                found.setdefault(tree, []).append(_asked(tree))
    rows = [
        Row(name, f"{value:.2f} ms", "< 5 ms" if "next" in name else "< 50 ms")
        for name, value in _asked(mine, "--corpus").items()
    ]
    for name in found[mine][0]:
        best = min(turn[name] for turn in found[mine])
        if other is None:
            rows.append(Row(name, f"{best:.2f} us"))
            continue
        before = min(turn[name] for turn in found[other])
        rows.append(Row(name, f"{best:.2f} us", "", f"{before:.2f} us", f"{best / before:.2f}"))
    return rows


def _asked(tree: str, *more: str) -> dict[str, float]:
    """What a tree answers in a process of its own."""
    questions = str(HERE / "benchmarks" / "time_questions.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(tree).resolve())}
    done = subprocess.run([sys.executable, "-P", questions, *more], env=environment, check=True, stdout=subprocess.PIPE)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer
