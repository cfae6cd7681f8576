"""The resources of a worker: made when it starts, handed to jobs by type, and closed when it stops."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from naq.exceptions import InvalidJob, Problem, ServiceError
from naq.jobs.target import Target

__all__ = ["Resources"]

log = logging.getLogger(__name__)

Hook = Callable[..., Any]


class Resources:
    """What the functions that run at a worker's start returned, by type."""

    def __init__(self, on_start: Sequence[Hook] = (), on_stop: Sequence[Hook] = ()) -> None:
        """The functions may be async. Their parameters are filled with the resources that there are, by annotation."""
        self._on_start = tuple(on_start)
        self._on_stop = tuple(on_stop)
        self._found: dict[Any, Any] = {}

    async def start(self) -> None:
        """Call the functions in order. Raises what they raise; what was made by then is handed to the ``on_stop`` functions."""
        for hook in self._on_start:
            try:
                value = await self._call(hook)
            except BaseException:
                await self.stop()
                raise
            if value is not None:
                self._found[_kind(hook, value)] = value

    async def stop(self) -> None:
        """Call the ``on_stop`` functions, the last declared first. One that fails is logged, and does not stop the others."""
        for hook in reversed(self._on_stop):
            try:
                await self._call(hook)
            except Exception:
                log.exception("%s failed when the worker stopped", getattr(hook, "__qualname__", hook))
        self._found.clear()

    def of(self, target: Target, executor: str) -> dict[str, Any]:
        """The resources that a function takes, by parameter. Raises `InvalidJob` for one that this worker does not have."""
        wanted = target.parameters.resources
        if wanted and executor == "process":
            reason = "has resources, and a process of its own cannot be given any"
            raise InvalidJob(Problem("executor", "'process'", reason, advice="use a thread, or open them in the job"))
        return {name: self._get(kind, f"parameter {name!r} of {target.reference}") for name, kind in wanted.items()}

    async def _call(self, hook: Hook) -> Any:
        parameters = inspect.signature(hook, eval_str=True).parameters.values()
        try:
            given = {each.name: self._get(each.annotation, f"parameter {each.name!r}") for each in parameters}
        except InvalidJob as error:
            raise ServiceError(f"{getattr(hook, '__qualname__', hook)} cannot be called: {error}") from None
        value = hook(**given)
        return await value if inspect.isawaitable(value) else value

    def _get(self, kind: Any, what: str) -> Any:
        if kind in self._found:
            return self._found[kind]
        if isinstance(kind, type):
            for known, value in self._found.items():
                if isinstance(known, type) and issubclass(known, kind):
                    return value
        name = getattr(kind, "__qualname__", str(kind))
        reason = "is not made by any function that runs when this worker starts"
        raise InvalidJob(
            Problem(what, name, reason, advice=f"declare one with @app.on_worker_start that returns {name}")
        )


def _kind(hook: Hook, value: Any) -> Any:
    """The type that a resource is found by: what its function is annotated to return, or else the value's own."""
    declared = inspect.signature(hook, eval_str=True).return_annotation
    return type(value) if declared in (inspect.Signature.empty, Any, None) else declared
