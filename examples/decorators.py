"""Jobs and schedules declared in a module, and run in this process until three reports were sent."""

from __future__ import annotations

import asyncio

from naq import Naq, Retry, every
from naq.services import ServiceManager

app = Naq(name="example")
sent = asyncio.Semaphore(0)
tries = 0


@app.job(retries=3, backoff="100ms")
async def fetch(url: str) -> int:
    """Fails at first, as networks do."""
    global tries
    tries += 1
    if tries < 2:
        raise Retry(after=0.1, reason="the line was busy")
    return len(url)


@app.schedule(every("500ms", max_runs=3), id="report")
async def report() -> None:
    sent.release()


async def main() -> None:
    stop = asyncio.Event()
    ready: asyncio.Future[ServiceManager] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(app.run(stop=stop, ready=ready.set_result))
    await ready
    job_id = await app.enqueue(fetch, "https://example.org")
    print("fetched", await app.result(job_id, timeout=30), "after", tries, "tries")
    for _ in range(3):
        await sent.acquire()
    print("three reports sent")
    stop.set()
    await running
    await app.close()


if __name__ == "__main__":
    asyncio.run(main())
