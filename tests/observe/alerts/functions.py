"""What the jobs of these tests do."""

from __future__ import annotations

import asyncio

gate = asyncio.Event()
broken = True


async def export() -> None:
    """Fails until somebody mends it."""
    if broken:
        raise RuntimeError("disk full")


async def patient() -> None:
    """Runs until the gate opens."""
    await gate.wait()


async def fine() -> int:
    return 1
