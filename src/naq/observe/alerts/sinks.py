"""Sinks receive alerts and events: a user's function, a log. For webhooks see `naq.observe.alerts.webhook`.

A sink raises `SinkError` when a delivery failed; `naq.observe.alerts.delivery` retries, with a separate queue for each sink.
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

__all__ = ["FunctionSink", "LogSink", "Notice", "Sink", "as_sink", "as_sinks", "notice_form"]

Notice = Alert | Event
"""What a sink receives."""
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
"""Log levels by type of event; all others are INFO."""


@runtime_checkable
class Sink(Protocol):
    """A receiver of alerts and events."""

    tries: int
    """How often a delivery is tried in total."""

    async def deliver(self, notice: Notice) -> None:
        """Deliver one alert or event. Raises `SinkError` when that failed."""
        ...

    async def close(self) -> None:
        """Release resources. Idempotent; the sink may be used again afterwards."""
        ...


class FunctionSink:
    """A user's function, called with each alert or event. An async one runs on the loop, a plain one in a thread."""

    def __init__(self, func: Callable[..., Any], tries: int = 3) -> None:
        self.tries = tries
        self._func = func
        self._threads = Threads("naq sink")
        call = getattr(func, "__call__", func)  # noqa: B004  the method of a callable object
        self._is_async = inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(call)

    def __repr__(self) -> str:
        return f"{getattr(self._func, '__module__', '')}:{getattr(self._func, '__qualname__', self._func)}"

    async def deliver(self, notice: Notice) -> None:
        """Call the function, and wait up to `PATIENCE` for it to return."""
        call = None if self._is_async else self._threads.call(partial(self._func, notice))
        try:
            async with asyncio.timeout(PATIENCE):
                answer = self._func(notice) if call is None else await call.future
                if inspect.isawaitable(answer):
                    await answer
        except TimeoutError as error:
            if call is not None:
                call.interrupt(TimeoutError)
            raise SinkError(f"it took longer than {PATIENCE:g} s, or timed out itself ({error})") from error
        except (Exception, SystemExit) as error:  # a user's function: any exception means not delivered
            raise SinkError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Release idle threads; a hanging one does not block."""
        self._threads.close()


class LogSink:
    """Writes one line per event or alert to a logger: its type, ids and details.

    ``level_of`` changes log levels: ``{"job_started": logging.INFO}``. ``as_json``: the line is one JSON document.
    Handlers find all fields as a mapping in the record's ``naq`` attribute.
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

    async def deliver(self, notice: Notice) -> None:
        """Write the line."""
        level = self._level(notice)
        if not self._logger.isEnabledFor(level):
            return
        form = notice_form(notice)
        line = msgspec.json.encode(form).decode() if self._as_json else _line(notice, form)
        self._logger.log(level, "%s", line, extra={"naq": form})

    async def close(self) -> None:
        """Nothing to release."""

    def _level(self, notice: Notice) -> int:
        if isinstance(notice, Event):
            return self._levels.get(notice.type, logging.INFO)
        return logging.INFO if notice.kind is AlertKind.RESOLVED else logging.ERROR


def notice_form(notice: Notice) -> dict[str, Any]:
    """An alert or event as plain JSON values; times are ISO text."""
    form: dict[str, Any] = plain(notice)
    return form if isinstance(notice, Event) else {"id": notice.id, **form}


def _line(notice: Notice, form: dict[str, Any]) -> str:
    head = notice.type if isinstance(notice, Event) else f"alert_{notice.kind}"
    rest = {**form, **form.get("details", {})}
    skipped = {"type", "kind", "details", "timestamp"}
    pairs = (f"{key}={_value(value)}" for key, value in rest.items() if key not in skipped and value is not None)
    return " ".join((head, *pairs))


def _value(value: Any) -> str:
    text = str(value)
    return text if text and not any(each in text for each in ' "=\n') else msgspec.json.encode(text).decode()


def as_sink(given: Sink | Callable[..., Any]) -> Sink:
    """The sink, or a sink that calls the function. Raises `InvalidInput` for anything else."""
    if isinstance(given, Sink):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionSink(given)
    raise InvalidInput.of("to", given, "must be a function or a sink", "Webhook('https://example.org/hook')")


def as_sinks(given: Sink | Callable[..., Any] | Sequence[Sink | Callable[..., Any]]) -> tuple[Sink, ...]:
    """One sink or several."""
    return tuple(map(as_sink, given)) if isinstance(given, list | tuple) else (as_sink(given),)  # type: ignore[arg-type]
