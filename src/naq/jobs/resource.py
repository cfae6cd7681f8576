"""What a job gets from its worker besides its arguments: pools, clients, sessions, found by the type of the parameter."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["resource"]


class _Resource:
    """The default of a parameter that the worker fills in."""

    def __repr__(self) -> str:
        return "resource"


resource: Final[Any] = _Resource()
"""The default of a parameter that the worker fills in, by the parameter's type, with what a function declared with
`Naq.on_worker_start` returned::

    @app.on_worker_start
    async def connect() -> Pool: ...

    @app.job
    async def report(region: str, pool: Pool = resource) -> None: ...

A caller may pass another value, for example in a test.
"""
