"""Enqueue so many jobs, wait for all results, and print how many a second: until the last job had finished."""

from __future__ import annotations

import asyncio
import sys
import time

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.peers.settings import url

AT_ONCE = 100
"""Calls in flight while the jobs are enqueued: each has a connection of its own."""


async def main(count: int) -> None:
    pool = await create_pool(RedisSettings.from_dsn(url()))
    began = time.time()
    jobs = []
    for start in range(0, count, AT_ONCE):
        part = range(start, min(start + AT_ONCE, count))
        jobs += await asyncio.gather(*(pool.enqueue_job("nothing") for _ in part))
    finished = 0.0
    for job in jobs:
        await job.result(timeout=300)
        info = await job.result_info()
        finished = max(finished, info.finish_time.timestamp())
    print(count / (finished - began))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
