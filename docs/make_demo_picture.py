"""Record ``docs/images/demo.svg``: the demo's live table after a few seconds of a real run.

``./dev run python docs/make_demo_picture.py``
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from pathlib import Path

from rich.console import Console

from naq.cli import demo
from naq.clock import SystemClock
from naq.services.base import ServiceManager
from naq.services.scheduler import SchedulerService

SECONDS = 12.5
PICTURE = Path(__file__).parent / "images" / "demo.svg"


async def record() -> None:
    with tempfile.TemporaryDirectory(prefix="naq-demo-") as directory:
        app, watch, stop = demo._app(directory, SystemClock().now()), demo.Watch(), asyncio.Event()
        started: asyncio.Future[ServiceManager] = asyncio.get_running_loop().create_future()
        runner = asyncio.create_task(app.run(stop=stop, ready=started.set_result, listen=watch.on_event))
        scheduler = (await started).find(SchedulerService)
        assert scheduler is not None
        await asyncio.sleep(SECONDS)
        console = Console(record=True, width=118, file=io.StringIO())
        console.print(demo.picture(scheduler, watch, await demo._records(scheduler)))
        stop.set()
        await runner
    PICTURE.parent.mkdir(exist_ok=True)
    console.save_svg(str(PICTURE), title="naq demo")


if __name__ == "__main__":
    asyncio.run(record())
