"""The application that the fault tests run."""

from __future__ import annotations

from naq import Naq

app = Naq()


@app.job
async def tick() -> None:
    """Does nothing, quickly."""
