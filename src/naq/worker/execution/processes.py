"""Processes for jobs with ``executor="process"``: a crash, a leak or a stuck computation costs one child, not the worker.

A child runs one job at a time and is used again, until it has run `JOBS_PER_CHILD` jobs or holds more memory than allowed. It
talks over its own socket, so a job may print. A job that is stopped first gets an exception raised in it; one that
ignores that is killed. A child whose worker is gone sees its socket close, and ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable

import msgspec

from naq.jobs.context import JobContext
from naq.jobs.job import QueuedJob
from naq.jobs.outcome import Raised, Returned, Unrunnable
from naq.jobs.records import DeadReason
from naq.jobs.run_log import keep_traceback
from naq.worker.execution.frames import Answer, Logged, Order, Said
from naq.worker.execution.memory import resident_bytes

__all__ = ["Child", "Processes"]

JOBS_PER_CHILD = 200
"""Jobs after which a child is replaced, so that leaked memory is freed."""

LAST_WORDS = 0.2
"""Seconds after a child's end within which what it said is read."""

log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Said | Logged | Answer)


class _Died(Exception):
    """The process of a job ended before the job did."""


class Child:
    """One process, with at most one job."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.jobs = 0
        self.last: QueuedJob | None = None
        """The last job that it ran."""
        self.usable = True
        self._process = process
        self._reader = reader
        self._writer = writer
        self._killed = False
        self._stopping: str | None = None
        self._busy = False
        # A process that the job forked may keep the socket open: the end of this process ends the conversation, too.
        self._exit = asyncio.ensure_future(process.wait())
        self._exit.add_done_callback(self._on_exit)

    def _on_exit(self, ended: asyncio.Future[int]) -> None:
        if not ended.cancelled():
            ended.get_loop().call_later(LAST_WORDS, self._writer.close)

    async def run(
        self, queued: QueuedJob, context: JobContext, func: str, *, allow_pickle: bool
    ) -> Returned | Raised | Unrunnable:
        """Run one attempt; ``func`` is its function as ``module:qualname``. A process that dies meanwhile fails the attempt."""
        self.jobs += 1
        self.last = queued
        self._busy = True
        try:
            order = Order(
                queued,
                func,
                context.worker_id,
                allow_pickle,
                tuple(sys.path),
                context.previous_success_at,
                logging.getLogger().getEffectiveLevel(),
            )
            if self._stopping is not None:
                raise _Died("it was stopped before it began")
            await self._send(order)
            while True:
                said = await self._receive()
                match said:
                    case Answer():
                        return _outcome(said)
                    case Logged():
                        _log_again(said)
                    case Said(progress):
                        context.progress(progress.done, progress.total, progress.note)
        except _Died as error:
            self.usable = False
            return Raised("ProcessDied", str(error))
        except BaseException:
            self.usable = self.usable and self._process.returncode is None and not self._killed
            raise
        finally:
            self._busy = False

    @property
    def memory(self) -> int:
        """Resident bytes (`resident_bytes`)."""
        return resident_bytes(self._process.pid)

    def ask_to_stop(self, reason: str) -> None:
        """Raise an exception inside its job."""
        self._stopping = reason
        self.usable = False
        if self._busy:
            self._signal(signal.SIGUSR1 if reason == "timeout" else signal.SIGUSR2)

    def kill(self) -> None:
        """End it at once."""
        self._killed = True
        self.usable = False
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Not with the process object's methods: they would reap it, and asyncio would never see its exit code.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    async def close(self) -> None:
        """End it, and return when it has ended."""
        self.usable = False
        self.kill()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        await self._exit

    async def _send(self, order: Order) -> None:
        data = _encoder.encode(order)
        try:
            self._writer.write(struct.pack(">I", len(data)) + data)
            await self._writer.drain()
        except OSError as error:
            raise _Died(f"its process could not be reached: {error}") from None

    async def _receive(self) -> Said | Logged | Answer:
        try:
            (size,) = struct.unpack(">I", await self._reader.readexactly(4))
            frame: Said | Logged | Answer = _decoder.decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError):
            self.usable = False
            self.kill()
            code = await self._process.wait()
            if self._killed and code == -signal.SIGKILL and self._stopping is not None:
                raise _Died("its process ignored being stopped, and was killed") from None
            raise _Died(f"its process {_how(code)}") from None
        return frame


def _log_again(logged: Logged) -> None:
    """Log a line of a child as if it were this process's."""
    logger = logging.getLogger(logged.name)
    if not logger.isEnabledFor(logged.level):
        return
    record = logger.makeRecord(logged.name, logged.level, "(child)", 0, "%s", (logged.message,), None)
    record.created = logged.created
    record.exc_text = logged.traceback
    if logged.traceback is not None:
        keep_traceback(logged.traceback)
    logger.handle(record)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    if -code == signal.SIGKILL:
        return "was ended by SIGKILL: by the system because memory ran out, or by hand"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _outcome(answer: Answer) -> Returned | Raised | Unrunnable:
    if answer.unrunnable:
        return Unrunnable(DeadReason.BAD_ARGUMENTS, "BadArguments", answer.error)
    if answer.error_type is None:
        return Returned(answer.value, answer.complaint)
    return Raised(
        error_type=answer.error_type,
        error=answer.error,
        traceback=answer.traceback,
        names=answer.names,
        asked_retry=answer.asked_retry,
        retry_after=answer.retry_after,
    )


class Processes:
    """The children of one worker: started when needed, reused, and ended with it."""

    def __init__(
        self, memory_limit: int | None = None, on_swollen: Callable[[QueuedJob, int], None] | None = None
    ) -> None:
        """A child that holds more than ``memory_limit`` bytes after a job is replaced, and ``on_swollen`` is called with
        that job and the bytes."""
        self._memory_limit = memory_limit
        self._on_swollen = on_swollen
        self._idle: list[Child] = []
        self._all: set[Child] = set()

    async def take(self) -> Child:
        """An idle child, or a new one."""
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
            await self._discard(child)
        child = await _spawn()
        self._all.add(child)
        return child

    async def give_back(self, child: Child) -> None:
        """Its job is over."""
        fits = child.jobs < JOBS_PER_CHILD and child in self._all and not self._is_swollen(child)
        if child.usable and fits:
            self._idle.append(child)
        else:
            await self._discard(child)

    def _is_swollen(self, child: Child) -> bool:
        job, limit = child.last, self._memory_limit
        if limit is None or job is None or not child.usable or (memory := child.memory) <= limit:
            return False
        log.warning(
            "the process of job %s (%s) holds %d MB after it, more than its %d MB: it is replaced",
            job.job_id,
            job.spec.func,
            memory >> 20,
            limit >> 20,
        )
        if self._on_swollen is not None:
            self._on_swollen(job, memory)
        return True

    async def close(self) -> None:
        """End all children, busy or not."""
        self._idle.clear()
        await asyncio.gather(*(self._discard(child) for child in tuple(self._all)))

    async def _discard(self, child: Child) -> None:
        self._all.discard(child)
        await child.close()


async def _spawn() -> Child:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "naq.worker.execution.child",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
            )
        except BaseException:
            ours.close()
            raise
    reader, writer = await asyncio.open_connection(sock=ours)
    return Child(process, reader, writer)
