"""Threads of sync jobs leave nothing behind that slows or stops the rest of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, cProfile, sys, threading
from naq.worker.execution.threads import Threads

async def main(interrupted):
    threads, begun = Threads(), threading.Event()

    def job():
        begun.set()
        if interrupted:
            while True:
                pass

    class Stop(Exception):
        pass

    call = threads.call(job)
    await asyncio.to_thread(begun.wait)
    if interrupted:
        call.interrupt(Stop)
    await asyncio.wait((call.future,))
    assert await threads.call(lambda: 7).future == 7

asyncio.run(main(sys.argv[1] == "interrupted"))
profile = cProfile.Profile()
print("seen", profile.runcall(lambda: sum(each for each in range(3))))
"""


@pytest.mark.parametrize("how", ["ended", "interrupted"])
def test_a_process_can_be_profiled_after_a_sync_job(how: str) -> None:
    """An interrupt that is taken back with ``None`` makes CPython 3.11 stand still in any function that is profiled."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "seen 3\n", done.stderr
