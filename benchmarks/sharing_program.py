"""What the rows of `benchmarks.sharing` measure, in terms that this tree and earlier ones have in common.

``naq worker benchmarks.sharing_program:app`` runs its jobs, ``python -m benchmarks.sharing_program NAME`` enqueues them and
prints one number.
"""

from __future__ import annotations

import asyncio
import sys
import time

from naq import Job, Naq

app = Naq()

AT_ONCE = 20
WAITING = 1_000
MANY = 3_000
TRIVIAL = 30
PATIENCE = 30.0
"""Seconds after which the jobs of the mixed queues that are not done are no longer waited for."""


@app.job(max_concurrent=1)
async def alone() -> None:
    """50 ms, one at a time."""
    await asyncio.sleep(0.05)


@app.job
async def moment() -> float:
    """When it ran."""
    return time.time()


@app.job(queue="slow")
async def limited() -> None:
    """A job of a queue with a rate."""


async def one_at_a_time() -> float:
    """Jobs a second of those that run one at a time."""
    await app.result(await app.enqueue(alone), PATIENCE)
    began = time.monotonic()
    for job_id in [await app.enqueue(alone) for _ in range(AT_ONCE)]:
        await app.result(job_id)
    return AT_ONCE / (time.monotonic() - began)


async def beside_waiting() -> float:
    """The longest of the times from enqueueing to start of five unrelated jobs, while others wait for their turn; seconds."""
    await asyncio.gather(*(app.enqueue_job(Job(func=alone, max_concurrent=1)) for _ in range(WAITING)))
    waits = []
    for _ in range(5):
        await asyncio.sleep(0.3)
        asked = time.time()
        waits.append(await app.result(await app.enqueue(moment)) - asked)
    return max(waits)


async def mixed_queues() -> float:
    """Jobs a second of a queue without a limit, beside a queue of which one starts every two seconds."""
    for _ in range(TRIVIAL):
        await app.enqueue(limited)
    began = time.monotonic()
    done = 0
    for job_id in [await app.enqueue(moment) for _ in range(TRIVIAL)]:
        left = PATIENCE - (time.monotonic() - began)
        try:
            await asyncio.wait_for(app.result(job_id), max(left, 0.01))
        except TimeoutError:
            break
        done += 1
    return done / (time.monotonic() - began)


async def trivial() -> float:
    """Trivial jobs a second from enqueueing to result, each enqueued and waited for by itself."""
    began = time.monotonic()
    ids = await asyncio.gather(*(app.enqueue(moment) for _ in range(MANY)))
    await asyncio.gather(*map(app.result, ids))
    return MANY / (time.monotonic() - began)


MEASURES = {
    "trivial": trivial,
    "one_at_a_time": one_at_a_time,
    "beside_waiting": beside_waiting,
    "mixed_queues": mixed_queues,
}


async def main(name: str) -> None:
    """Print one figure."""
    async with app:
        print(await MEASURES[name]())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
