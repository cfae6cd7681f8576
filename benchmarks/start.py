"""How long a command takes to start: processor time of whole processes, of this tree and of an earlier commit.

Both run in turn in this environment, each on a namespace of its own of one server, so that a busy machine slows both.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.world import Row
from naq.testing import NatsServer

ROOT = Path(__file__).parents[1]
BEFORE = "a1307f6"
COMMANDS = {
    "naq --version": (("--version",), 0.35),
    "naq --help": (("--help",), 0.35),
    "naq schedule explain": (("schedule", "explain", "0 9 * * MON-FRI", "--tz", "Europe/Berlin"), 0.35),
    "naq schedule ls": (("schedule", "ls"), 0.5),
}
TAB = ("naq schedule p", 0.25)


@dataclass(frozen=True)
class Tree:
    """One source tree, and how its commands are run."""

    source: Path
    environment: Mapping[str, str]

    def seconds(self, *arguments: str, **more: str) -> float:
        """Processor time of one run."""
        process = subprocess.Popen(
            [sys.executable, "-m", "naq", *arguments],
            env={**os.environ, **self.environment, **more, "PYTHONPATH": str(self.source)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0 or "_NAQ_COMPLETE" in more, arguments
        return used.ru_utime + used.ru_stime


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """The source of a commit, for a while."""
    with tempfile.TemporaryDirectory(prefix="naq-start-") as directory:
        place = Path(directory) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(place), commit], cwd=ROOT, check=True)
        try:
            yield place / "src"
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=ROOT, check=True)


def start(commit: str = BEFORE, rounds: int = 5) -> list[Row]:
    """One row a command: its time now, before, and the ratio of the two; the least of ``rounds`` runs counts."""
    return asyncio.run(_start(commit, rounds))


async def _start(commit: str, rounds: int) -> list[Row]:
    with worktree(commit) as source, tempfile.TemporaryDirectory(prefix="naq-start-") as directory:
        async with NatsServer(Path(directory)) as server:
            now = Tree(ROOT / "src", {"NAQ_NATS_URL": server.url, "NAQ_NAMESPACE": "now"})
            before = Tree(source, {"NAQ_NATS_URL": server.url, "NAQ_NAMESPACE": "before"})
            for tree in (now, before):
                for number in range(5):
                    tree.seconds("schedule", "add", "reports:send", "--every", "1h", "--id", f"report-{number}")
            rows = [
                _row(name, now, before, arguments, target, rounds) for name, (arguments, target) in COMMANDS.items()
            ]
            rows.append(_tab(now, before, rounds))
            return rows


def _row(name: str, now: Tree, before: Tree, arguments: tuple[str, ...], target: float, rounds: int) -> Row:
    times = [(now.seconds(*arguments), before.seconds(*arguments)) for _ in range(rounds)]
    return _shown(name, target, min(each for each, _ in times), min(each for _, each in times))


def _tab(now: Tree, before: Tree, rounds: int) -> Row:
    words, target = TAB
    environment = {"_NAQ_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}
    times = [(now.seconds(**environment), before.seconds(**environment)) for _ in range(rounds)]
    return _shown(f"{words}<TAB>", target, min(each for each, _ in times), min(each for _, each in times))


def _shown(name: str, target: float, now: float, before: float) -> Row:
    return Row(
        f"start: {name}",
        f"{now * 1000:.0f} ms CPU",
        f"<= {target:.2f} x before",
        f"{before * 1000:.0f} ms before",
        f"{now / before:.2f}",
    )


if __name__ == "__main__":
    for row in start():
        print(f"{row.name:32} {row.figure:>14} {row.limit:>16} {row.ratio:>6}  {row.target}")
