"""How jobs of one worker share it: `max_concurrent`, and queues with and without a rate; of this tree and of an earlier commit.

Both run in this environment, one after the other, each with a server and a worker of its own and the same program.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.start import BEFORE, ROOT, worktree
from benchmarks.world import Row
from naq.testing import NatsServer

PROGRAM = "benchmarks.sharing_program"
ROWS = {
    "trivial": ("3,000 trivial jobs, each enqueued and waited for by itself", "jobs/s", ">= before"),
    "one_at_a_time": ("20 jobs of 50 ms, max_concurrent=1", "jobs/s", ">= 15 /s"),
    "beside_waiting": ("start of an unrelated job beside 1,000 that wait for max_concurrent=1", "s", "<= 0.2 s"),
    "mixed_queues": ("30 trivial jobs beside a queue with a rate of 0.5 /s", "jobs/s", ">= 30 /s"),
}


async def sharing(commit: str = BEFORE) -> list[Row]:
    """One row for each measure: now, and before in the column of the limit."""
    with worktree(commit) as source:
        rows = []
        for name, (what, unit, target) in ROWS.items():
            before, now = await _measured(source, name), await _measured(ROOT / "src", name)
            if name == "trivial":  # what else the machine does matters most here: the best of three, in turn
                for _ in range(2):
                    before = max(before, await _measured(source, name))
                    now = max(now, await _measured(ROOT / "src", name))
            rows.append(
                Row(what, f"{now:.2f} {unit}", target, f"{before:.2f} {unit} at {commit}", f"{now / before:.3g}")
            )
        return rows


async def _measured(source: Path, name: str) -> float:
    with tempfile.TemporaryDirectory(prefix="naq-sharing-") as directory:
        async with NatsServer(Path(directory), sync_always=True) as server:
            environment = {
                **os.environ,
                "PYTHONPATH": f"{source}{os.pathsep}{ROOT}",
                "NAQ_NATS_URL": server.url,
                "NAQ_QUEUES": "default,slow",
                "NAQ_CONCURRENCY": "10",
            }
            if name == "mixed_queues":
                await _output(environment, "naq", "queue", "limit", "slow", "--rate", "0.5")
            async with _worker(environment):
                return float(await _output(environment, PROGRAM, name))


async def _output(environment: dict[str, str], *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments), env=environment, cwd="/", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, arguments
    return said.decode()


@asynccontextmanager
async def _worker(environment: dict[str, str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "naq", "worker", f"{PROGRAM}:app"),
        env=environment,
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        said = await process.stdout.readline()
        assert b"ready" in said, said
        yield
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    for row in asyncio.run(sharing()):
        print(f"{row.name:75} {row.figure:>14} {row.limit:>28} {row.ratio:>6}  {row.target}")
