"""The program of a worker's process child: ``python -m naq.worker.execution.child FD``. It gets its jobs from a socket.

The main thread runs the jobs, so that a signal can raise an exception in them. A second thread reads the socket, and ends
the process at once when the worker is gone.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import queue
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec

from naq.exceptions import JobCancelled, JobTimeout
from naq.jobs.context import JobContext, bind_context
from naq.jobs.functions import import_function
from naq.jobs.outcome import raised, returned
from naq.jobs.records import Progress
from naq.jobs.target import make_target
from naq.store.codec import encode
from naq.worker.execution.frames import Answer, Logged, Order, Said

__all__ = ["main"]

_decoder = msgspec.json.Decoder(Order)


class _Child:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._job: str | None = None

    def serve(self) -> None:
        for number in (
            signal.SIGINT,
            signal.SIGTERM,
        ):  # the worker handles them, but a supervisor may signal children, too
            signal.signal(number, lambda *_: None)  # not SIG_IGN: processes that a job starts would inherit that
        signal.signal(signal.SIGUSR1, self._on_signal)
        signal.signal(signal.SIGUSR2, self._on_signal)
        os.register_at_fork(after_in_child=self._forked)
        logging.getLogger().addHandler(_Forward(self._send))
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            order = self._orders.get()
            self._reply(contextvars.copy_context().run(self._answer, order))

    def _forked(self) -> None:
        """In a process that a job forked: it is not the worker's, so it lets go of the socket and of the signals."""
        self._channel.close()
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _reply(self, answer: Answer) -> None:
        try:
            self._send(answer)
        except ValueError:  # a text with characters that UTF-8 does not have
            self._send(
                msgspec.structs.replace(
                    answer,
                    error_type=_plain(answer.error_type),
                    error=_plain(answer.error) or "",
                    traceback=_plain(answer.traceback),
                    names=tuple(_plain(name) or "" for name in answer.names),
                )
            )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        job, self._job = self._job, None
        if job is not None:
            raise JobTimeout(job, "its time is up") if number == signal.SIGUSR1 else JobCancelled(job)

    def _read(self) -> None:
        while True:
            (size,) = struct.unpack(">I", self._exactly(4))
            self._orders.put(_decoder.decode(self._exactly(size)))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = self._channel.recv(size - len(data))
            except OSError:
                part = b""
            if not part:
                os._exit(0)
            data += part
        return data

    def _send(self, frame: Said | Logged | Answer) -> None:
        data = encode(frame)
        with self._sending:
            self._channel.sendall(struct.pack(">I", len(data)) + data)

    def _answer(self, order: Order) -> Answer:
        for entry in order.path:
            if entry not in sys.path:
                sys.path.append(entry)
        logging.getLogger().setLevel(order.log_level)
        try:
            func = import_function(order.func)
            if func is None:
                return _unrunnable(f"the function {order.func!r} cannot be imported in a process of its own")
            target = make_target(order.func, func)
            args, kwargs = target.arguments(order.queued.spec, allow_pickle=order.allow_pickle)
            context = JobContext(
                order.queued,
                worker_id=order.worker_id,
                on_progress=self._progress,
                previous_success_at=order.previous_success_at,
            )
            context.args, context.kwargs = tuple(args), kwargs
            bind_context(context)
            if target.takes_context:
                args = [context, *args]
            self._job = order.queued.job_id
            value = target.func(*args, **kwargs)
            if inspect.isawaitable(value):
                value = asyncio.run(_awaited(value))
            self._job = None
            result = returned(value)
            return Answer(value=result.value, complaint=result.complaint)
        except BaseException as error:  # noqa: BLE001 - a user's function: the child stays usable
            outcome = raised(error)
            return Answer(**{name: getattr(outcome, name) for name in outcome.__slots__})
        finally:
            self._job = None

    def _progress(self, context: JobContext) -> None:
        self._send(Said(context.last_progress or Progress()))


class _Forward(logging.Handler):
    """Sends log lines to the worker, unless the job's own modules have set up logging."""

    def __init__(self, send: Callable[[Logged], None]) -> None:
        super().__init__()
        self._to_worker = send

    def emit(self, record: logging.LogRecord) -> None:
        if len(logging.getLogger().handlers) > 1:
            return
        try:
            trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else None
            message = _plain(record.getMessage()) or ""
            self._to_worker(Logged(record.name, record.levelno, message, record.created, _plain(trace)))
        except Exception:  # noqa: BLE001 - a message that cannot be formatted or sent must not fail the job
            self.handleError(record)


def _plain(text: str | None) -> str | None:
    """The text with everything escaped that UTF-8 cannot say."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


async def _awaited(value: Any) -> Any:
    return await value


def _unrunnable(reason: str) -> Answer:
    return Answer(error_type="BadArguments", error=reason, unrunnable=True)


def main(fd: int) -> None:
    """Run jobs for the worker at the other end of the socket until it is gone."""
    _Child(socket.socket(fileno=fd)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
