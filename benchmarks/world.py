"""A server with the embedded server's settings in a directory of its own, and the services on it."""

from __future__ import annotations

import contextlib
import resource
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from naq.jobs.job import QueuedJob
from naq.lifecycle import ServiceManager
from naq.store.codec import decode
from naq.store.nats.bucket import KVStoreService
from naq.testing.server import NatsServer


@dataclass(frozen=True)
class Row:
    """One line of the printed table."""

    name: str
    figure: str
    target: str = ""
    limit: str = ""
    ratio: str = ""


@contextlib.asynccontextmanager
async def services(namespace: str = "bench", **config: object) -> AsyncIterator[ServiceManager]:
    """Services on a fresh server that syncs every write, as the embedded one does."""
    with tempfile.TemporaryDirectory(prefix="naq-bench-") as directory:
        async with NatsServer(Path(directory), sync_always=True) as server:
            settings = {"nats_url": server.url, "namespace": namespace, "request_timeout": 30, **config}
            async with ServiceManager(settings) as manager:
                yield manager


def beside(value: float, limit: float, form: str, unit: str) -> tuple[str, str]:
    """The limit that was found in the same run, and the ratio, as a `Row` shows them."""
    return f"{limit:{form}} {unit}", f"{value / limit:.2f}"


async def fires(manager: ServiceManager) -> list[tuple[QueuedJob, datetime]]:
    """All jobs in the stream, each with the time at which the server stored it."""
    store = await manager.get_service(KVStoreService)
    return [
        (decode(QueuedJob, stored.entry.key, stored.entry.value), stored.stored_at)
        async for page in store.scan_stored("job.>")
        for stored in page
        if stored.entry.value is not None
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the (sorted) values lie."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def latency_beside(value: float, limit: float, target: str = "") -> tuple[str, str, str, str]:
    """A latency beside what one bare batch after the other takes until it is acknowledged; both in milliseconds."""
    return f"{value:.2f} ms", target, *beside(value, limit, ".2f", "ms")


def cpu_seconds() -> float:
    """CPU this process has used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
