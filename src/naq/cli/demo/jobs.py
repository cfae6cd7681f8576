"""The jobs of ``naq demo``: they do next to nothing."""

from __future__ import annotations

import asyncio

__all__ = [
    "check_stock",
    "close_books",
    "heartbeat",
    "import_orders",
    "poll_prices",
    "remind",
    "send_report",
    "warm_up",
]


async def heartbeat() -> str:
    """Say that all is well."""
    return "alive"


async def check_stock() -> int:
    """Count something."""
    return 42


async def poll_prices() -> float:
    """Every other second, give or take."""
    return 9.99


async def import_orders() -> str:
    """Takes longer than its interval: the fires in between are skipped."""
    await asyncio.sleep(1.5)
    return "imported"


async def warm_up() -> bool:
    """A few times, then never again."""
    return True


async def remind() -> str:
    """Once."""
    return "reminded"


def send_report() -> str:
    """A synchronous function, run in a thread."""
    return "sent"


def close_books() -> str:
    """Not soon: only its next time is shown."""
    return "closed"
