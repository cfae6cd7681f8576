"""The server that naq runs itself when no ``nats_url`` is set.

Every naq process of one user that uses the same data directory shares one ``nats-server``: the first to `join`
starts it, the others find it running, and the last to `leave` stops it. There is no daemon that looks after it.
The members do, as equals: a member that notices the server is gone takes the decision lock, checks again, and starts
it unless somebody else has meanwhile. A member that is killed is out at that instant, because membership is a lock
that the kernel releases; the server is nobody's dependant (own session, no terminal) and goes on for the others.

Which lock says what is written in `naq.store.embedded.directory`. Here are the decisions, each taken under the
decision lock: bring the server up, end it, and who is the last to leave. `docs/concepts/embedded-server.md` tells
the same to users.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass, field
from pathlib import Path

from naq.clock import Clock, SystemClock
from naq.exceptions import EmbeddedServerError
from naq.store.embedded.directory import Member, ServerDirectory, ServerRecord, reap
from naq.store.embedded.process import (
    GLANCE,
    ROUND,
    decision,
    end_server,
    has_ended,
    kill,
    require_posix,
    server_ended,
    size_of,
    until,
)
from naq.store.embedded.program import HOST, find_program, greeting, last_words, port_is_free

__all__ = ["EmbeddedServer", "ServerAddress", "ServerStatus", "describe", "stop"]

log = logging.getLogger(__name__)

START_TIMEOUT = 30.0
"""Seconds the server may take to answer after its start; it first recovers its data (about 1 s per million keys)."""
RETRY = 1.0
"""Seconds after which a member tries again, at the earliest, to have a server that could not be started."""
CALM = 10.0
"""Seconds that a server must run to be restarted at once when it ends."""
LONGEST_NAP = 5.0
"""Maximum seconds between restarts of a server that keeps ending."""
ATTEMPTS = 5
"""Starts in a row of a server that is killed, or whose port is taken, before it answers."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Address and credentials of the embedded server. They change together."""

    url: str
    """``nats://127.0.0.1:PORT``, without secrets."""
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """Status of a running embedded server."""

    pid: int | None
    """Its process id; ``None`` in the first instants of its life."""
    url: str | None
    """Where it listens, without secrets; ``None`` when its record cannot be read."""
    version: str | None
    """Its version; ``None`` when it does not respond."""
    members: tuple[int, ...]
    """Process ids of the members; one that joined twice is there twice. Empty: the next to leave stops it."""
    log_file: Path

    @property
    def answers(self) -> bool:
        """Whether it answered on its port just now."""
        return self.version is not None


class EmbeddedServer:
    """One member's hold on the embedded server of a data directory.

    Its methods may be called in any order and at the same time. The directory has to be on a local disk. What is
    needed of the machine is POSIX; elsewhere `join` raises `EmbeddedServerError`.
    """

    def __init__(self, data_dir: Path, *, clock: Clock | None = None, start_timeout: float = START_TIMEOUT) -> None:
        self._directory = ServerDirectory(data_dir)
        self._clock = clock if clock is not None else SystemClock()
        self._start_timeout = start_timeout
        self._turn = asyncio.Lock()
        self._member: Member | None = None
        self._record: ServerRecord | None = None
        self._watchdog: asyncio.Task[None] | None = None

    @property
    def address(self) -> ServerAddress:
        """Where the server was when this member last looked. Raises `EmbeddedServerError` before `join`."""
        if self._record is None:
            raise EmbeddedServerError("the embedded server has no address yet: join it first")
        return _address(self._record)

    @property
    def pid(self) -> int | None:
        """The server's process id; ``None`` while it does not run."""
        return self._directory.server_pid()

    @property
    def log_file(self) -> Path:
        """What the server says goes here."""
        return self._directory.log_file

    async def join(self) -> ServerAddress:
        """Become a member: find the server running, or start it; return when it answers.

        A second `join` returns the address. From here on a watchdog restarts the server whenever its process
        ends. Raises `EmbeddedServerError`, and then is no member: the program is missing, the directory cannot be
        written or is another user's, the server ended at once or did not answer within ``start_timeout`` seconds.
        """
        require_posix()
        async with self._turn:
            if self._member is None:
                self._directory.prepare()
                async with decision(self._directory, self._clock):
                    self._directory.sweep()
                    member = self._directory.enrol()
                    try:
                        self._record = await self._bring_up()
                    except BaseException:
                        member.resign()
                        raise
                self._member = member
                self._watchdog = asyncio.create_task(self._watch(), name="naq embedded server watchdog")
            return self.address

    async def leave(self) -> None:
        """Stop being a member; the last one stops the server and returns when it has ended.

        Does nothing for one that is no member. Raises `EmbeddedServerError` when the server had to be stopped and
        could not; the membership has ended nevertheless.
        """
        await self._end_watch()  # it may have the turn, and be starting a server that nobody waits for
        async with self._turn:
            await self._end_watch()  # of a join that had the turn before
            member, self._member = self._member, None
            if member is None:
                return
            try:
                async with decision(self._directory, self._clock):
                    member.resign()
                    self._directory.sweep()
                    if not self._directory.members():
                        await end_server(self._directory, self._clock)
            finally:
                member.resign()

    def resign(self) -> None:
        """Stop being a member without stopping the server, when the event loop of `join` is closed. Another member has to
        leave after it, or the server runs on."""
        member, self._member, self._watchdog = self._member, None, None
        if member is not None:
            member.resign()

    async def ensure_running(self) -> ServerAddress:
        """Return the address of a server that runs: the one that is there, or one started now.

        For a member that lost its connection. The restarted server has the same data, and the same port and password
        unless a stranger has taken the port: then both are new, so use the address that is returned. Of many that
        call this at once, one starts the server. Raises `EmbeddedServerError` as `join` does, for one that is no
        member, and when the server was stopped by hand (`stop`): then it stays down until somebody joins.
        """
        async with self._turn:
            if self._member is None:
                raise EmbeddedServerError("the embedded server is used without having been joined: join it first")
            async with decision(self._directory, self._clock):
                record = self._directory.record()
                if record is None or not self._directory.server_runs():
                    if record is not None and record.stopped:
                        raise EmbeddedServerError(
                            f"the embedded server of {str(self._directory.data_dir)!r} was stopped by hand: "
                            "it comes back when any naq process is started with this data_dir"
                        )
                    record = await self._bring_up()
                    log.warning("the embedded server had ended and was restarted on port %d", record.port)
                self._record = record
            return self.address

    async def _bring_up(self) -> ServerRecord:
        """Have a server that answers. Only under the decision lock."""
        if self._directory.server_runs():
            record = await self._find_running()
            if record is not None:
                return record
        return await self._start()

    async def _find_running(self) -> ServerRecord | None:
        """The record of the running server once it answers; ``None`` when it ends instead.

        It may be about to answer (its starter was killed before it did) or about to end (its last member was).
        """
        record = self._directory.record()
        if record is None:
            raise EmbeddedServerError(
                f"the embedded server of {str(self._directory.data_dir)!r} runs, but its record cannot be read: "
                "stop it (naq server stop) and try again"
            )
        if record.host != socket.gethostname():
            raise EmbeddedServerError(
                f"data_dir {str(self._directory.data_dir)!r} is used by an embedded server on {record.host!r}: "
                "choose another data_dir, or set nats_url"
            )
        if not await self._answers(record):
            return None
        if record.stopped:  # whoever wanted to stop it was killed on the way
            record = record.to_start()
            self._directory.write(record)
        return record

    async def _start(self) -> ServerRecord:
        """Start the server, on its old port if it can be had. Only under the decision lock."""
        program = find_program()
        record, words = (self._directory.record() or ServerRecord.fresh()).to_start(), ""
        for _ in range(ATTEMPTS):
            if not port_is_free(record.port):
                record = record.moved()
            self._directory.write(record)
            said_before = size_of(self._directory.log_file)
            status = await self._launch(program, record)
            if status is None:
                return record
            words = last_words(self._directory.log_file, said_before)
            if status < 0:  # killed by somebody before it could answer: nothing is wrong with it
                continue
            if "address already in use" not in words:
                raise EmbeddedServerError(
                    f"the embedded server ended at once; its log {str(self._directory.log_file)!r} ends with\n{words}"
                )
            record = record.moved()
        raise EmbeddedServerError(
            f"the embedded server was started {ATTEMPTS} times and each time was killed or found its port taken; "
            f"its log {str(self._directory.log_file)!r} ends with\n{words}"
        )

    async def _launch(self, program: Path, record: ServerRecord) -> int | None:
        """Run the server until it answers (``None``) or ends (its exit status); else kill it and raise."""
        claim = await until(self._directory.claim_server, self._clock)
        child = self._directory.spawn(program, claim)
        try:
            if not self._directory.server_runs() and not await has_ended(child):
                raise EmbeddedServerError(
                    f"the file system of data_dir {str(self._directory.data_dir)!r} does not keep locks (a network "
                    "file system?): choose a data_dir on a local disk, or set nats_url"
                )
            return None if await self._answers(record) else await asyncio.to_thread(child.wait)
        except BaseException:
            kill(child)
            raise

    async def _answers(self, record: ServerRecord) -> bool:
        """Wait until the running server answers (true) or ends (false). Raises `EmbeddedServerError`."""
        try:
            async with asyncio.timeout(self._start_timeout):
                while self._directory.server_runs():
                    said = await asyncio.to_thread(greeting, record.port)
                    if said is not None and said.server_name == record.name:
                        return True
                    await self._clock.sleep(GLANCE)
        except TimeoutError:
            raise EmbeddedServerError(
                f"the embedded server does not answer on port {record.port} within {self._start_timeout:g} s; "
                f"its log {str(self._directory.log_file)!r} ends with\n{last_words(self._directory.log_file)}"
            ) from None
        reap()
        return False

    async def _watch(self) -> None:
        """Notice the end of the server, and have it again; ever more slowly when it does not live long."""
        complaint, nap = "", 0.0
        while True:
            since = self._clock.monotonic()
            try:
                await server_ended(self._directory, self._record, self._clock)
                nap = 0.0 if self._clock.monotonic() - since > CALM else nap
                await self._clock.sleep(nap)
                nap = min(LONGEST_NAP, 2 * nap + ROUND)
                await self.ensure_running()
                complaint = ""
            except (EmbeddedServerError, OSError) as error:
                if str(error) != complaint:
                    complaint = str(error)
                    log.error("%s", complaint)
                await self._clock.sleep(RETRY)

    async def _end_watch(self) -> None:
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None and watchdog.get_loop() is asyncio.get_running_loop():
            watchdog.cancel()
            await asyncio.wait((watchdog,))


def describe(data_dir: Path) -> ServerStatus | None:
    """What runs in a data directory, without joining or changing anything; ``None`` when no server does.

    Blocks for up to a second when the server does not answer. Raises `EmbeddedServerError` when this user may not
    look.
    """
    require_posix()
    directory = ServerDirectory(data_dir)
    if not directory.server_runs():
        return None
    record = directory.record()
    said = greeting(record.port) if record is not None else None
    ours = said is not None and record is not None and said.server_name == record.name
    return ServerStatus(
        pid=directory.server_pid(),
        url=_address(record).url if record is not None else None,
        version=said.version if said is not None and ours else None,
        members=directory.members(),
        log_file=directory.log_file,
    )


async def stop(data_dir: Path, *, clock: Clock | None = None) -> bool:
    """Stop the server of a data directory, whoever uses it; false when none ran.

    Its members do not start it again: it stays down until another process joins; then they reconnect.
    Raises `EmbeddedServerError` when it could not be stopped.
    """
    require_posix()
    clock = clock if clock is not None else SystemClock()
    directory = ServerDirectory(data_dir)
    if not directory.exists():
        return False
    async with decision(directory, clock):
        if not directory.server_runs():
            return False
        record = directory.record()
        if record is not None:
            directory.write(record.to_stop())
        await end_server(directory, clock)
        return True


def _address(record: ServerRecord) -> ServerAddress:
    return ServerAddress(f"nats://{HOST}:{record.port}", record.user, record.password)
