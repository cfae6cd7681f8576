"""A worker as a program: ``python -m tests.worker.worker_process SETTINGS``. Says ``ready``; SIGTERM drains it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from naq.lifecycle import ServiceManager
from naq.worker.service import WorkerService


async def main() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with ServiceManager(json.loads(sys.argv[1])) as services:
        worker = await services.get_service(WorkerService)
        await worker.start()
        print("ready", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main())
