"""An alert that fires when a schedule fails twice in a row, and is resolved when somebody has mended it."""

from __future__ import annotations

import asyncio

from naq import Alert, FailedTimes, Naq, every
from naq.services import ServiceManager

app = Naq(name="alerts-example")
over = asyncio.Event()
disk_is_full = True


@app.schedule(every("300ms"), id="nightly-export")
async def export() -> None:
    if disk_is_full:
        raise OSError("disk full")


@app.on_alert(FailedTimes(2, schedule="nightly-*"), name="exports")
async def tell(alert: Alert) -> None:
    global disk_is_full
    print(f"{alert.kind}: {alert.subject}: {alert.reason.partition('/')[0]}")
    if alert.firing:
        disk_is_full = False
    else:
        over.set()


async def main() -> None:
    stop = asyncio.Event()
    ready: asyncio.Future[ServiceManager] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(app.run(stop=stop, ready=ready.set_result))
    await ready
    await over.wait()
    print("firing now:", len(await app.list_alerts()))
    stop.set()
    await running
    await app.close()


if __name__ == "__main__":
    asyncio.run(main())
