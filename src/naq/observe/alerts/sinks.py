"""Sinks: where alerts and events are told. A user's function, a log; a webhook has a room of its own.

A sink raises `SinkError` when it did not take what it was told; `naq.observe.alerts.delivery` tries again, each sink in a queue
of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import msgspec

from naq.events import Event, EventType
from naq.exceptions import InvalidInput, SinkError
from naq.observe.alerts.alert import Alert, AlertKind
from naq.store.codec import plain
from naq.worker.execution.threads import Threads

__all__ = ["FunctionSink", "LogSink", "Sink", "Told", "as_sink", "as_sinks", "told_form"]

Told = Alert | Event
"""What a sink is told."""
PATIENCE = 30.0
"""Seconds that a user's async function may take."""

LOUD: dict[str, int] = {
    EventType.JOB_FAILED: logging.ERROR,
    EventType.JOB_ABANDONED: logging.ERROR,
    EventType.SCHEDULE_QUARANTINED: logging.ERROR,
    EventType.ALERT_FIRED: logging.ERROR,
    EventType.JOB_RETRY_SCHEDULED: logging.WARNING,
    EventType.FIRE_MISSED: logging.WARNING,
    EventType.WORKER_BLOCKED: logging.WARNING,
    EventType.WORKER_MEMORY: logging.WARNING,
    EventType.CONNECTION_LOST: logging.WARNING,
    EventType.JOB_PROGRESS: logging.DEBUG,
    EventType.JOB_ENQUEUED: logging.DEBUG,
    EventType.JOB_STARTED: logging.DEBUG,
    EventType.SCHEDULED_JOB_TRIGGERED: logging.DEBUG,
}
"""How loud a type of event is in the log; all others are INFO."""


@runtime_checkable
class Sink(Protocol):
    """Something that can be told alerts and events."""

    tries: int
    """How often the same is tried to be told, in all."""

    async def deliver(self, told: Told) -> None:
        """Tell one thing. Raises `SinkError` when that failed."""
        ...

    async def close(self) -> None:
        """Let go of whatever is held. Idempotent; may be used again afterwards."""
        ...


class FunctionSink:
    """A user's function, called with each alert or event. An async one runs on the loop, a plain one in a thread."""

    def __init__(self, func: Callable[..., Any], tries: int = 3) -> None:
        self.tries = tries
        self._func = func
        self._threads = Threads("naq sink")
        call = getattr(func, "__call__", func)  # noqa: B004  of an object that is called, its method
        self._is_async = inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(call)

    def __repr__(self) -> str:
        return f"{getattr(self._func, '__module__', '')}:{getattr(self._func, '__qualname__', self._func)}"

    async def deliver(self, told: Told) -> None:
        """Call it, and wait until it is through, up to `PATIENCE`."""
        call = None if self._is_async else self._threads.call(partial(self._func, told))
        try:
            async with asyncio.timeout(PATIENCE):
                answer = self._func(told) if call is None else await call.future
                if inspect.isawaitable(answer):
                    await answer
        except TimeoutError as error:
            if call is not None:
                call.interrupt(TimeoutError)
            raise SinkError(f"it took longer than {PATIENCE:g} s, or timed out itself ({error})") from error
        except (Exception, SystemExit) as error:  # a user's function: whatever it raises, it did not take it
            raise SinkError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Let go of idle threads; one that hangs keeps nobody from ending."""
        self._threads.close()


class LogSink:
    """Writes one line for each event or alert to a logger: its type, its ids, and what else is known.

    ``level_of`` changes how loud types are: ``{"job_started": logging.INFO}``. ``as_json``: the line is one JSON document.
    Handlers find the whole as a mapping in the record's ``naq`` attribute.
    """

    def __init__(
        self,
        logger: logging.Logger | str = "naq.log",
        *,
        level_of: dict[str, int] | None = None,
        as_json: bool = False,
    ) -> None:
        self.tries = 1
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self._levels: dict[str, int] = {**LOUD, **(level_of or {})}
        self._as_json = as_json

    def __repr__(self) -> str:
        return f"LogSink({self._logger.name!r})"

    async def deliver(self, told: Told) -> None:
        """Write the line."""
        level = self._level(told)
        if not self._logger.isEnabledFor(level):
            return
        form = told_form(told)
        line = msgspec.json.encode(form).decode() if self._as_json else _line(told, form)
        self._logger.log(level, "%s", line, extra={"naq": form})

    async def close(self) -> None:
        """Nothing is held."""

    def _level(self, told: Told) -> int:
        if isinstance(told, Event):
            return self._levels.get(told.type, logging.INFO)
        return logging.INFO if told.kind is AlertKind.RESOLVED else logging.ERROR


def told_form(told: Told) -> dict[str, Any]:
    """An alert or event as plain JSON values; times are ISO text."""
    form: dict[str, Any] = plain(told)
    return form if isinstance(told, Event) else {"id": told.id, **form}


def _line(told: Told, form: dict[str, Any]) -> str:
    head = told.type if isinstance(told, Event) else f"alert_{told.kind}"
    rest = {**form, **form.get("details", {})}
    skipped = {"type", "kind", "details", "timestamp"}
    pairs = (f"{key}={_value(value)}" for key, value in rest.items() if key not in skipped and value is not None)
    return " ".join((head, *pairs))


def _value(value: Any) -> str:
    text = str(value)
    return text if text and not any(each in text for each in ' "=\n') else msgspec.json.encode(text).decode()


def as_sink(given: Sink | Callable[..., Any]) -> Sink:
    """A sink, or a function made one. Raises `InvalidInput` for anything else."""
    if isinstance(given, Sink):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionSink(given)
    raise InvalidInput.of("to", given, "is neither a function nor a sink", "Webhook('https://example.org/hook')")


def as_sinks(given: Sink | Callable[..., Any] | Sequence[Sink | Callable[..., Any]]) -> tuple[Sink, ...]:
    """One sink or several."""
    return tuple(map(as_sink, given)) if isinstance(given, list | tuple) else (as_sink(given),)  # type: ignore[arg-type]
