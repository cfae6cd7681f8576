"""``python -m tests.cli.without_posix ARGUMENTS``: the command ``naq`` where nothing of POSIX is there, as on Windows.

The modules and names that only POSIX systems have are taken away, and ``sys.platform`` is ``win32``, before anything of naq is
imported. What the standard library and others have imported by then stays: it is theirs to work there.
"""

from __future__ import annotations

import asyncio.subprocess  # noqa: F401
import getpass  # noqa: F401
import importlib.abc
import multiprocessing  # noqa: F401
import os
import signal
import ssl  # noqa: F401
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import zoneinfo  # noqa: F401
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import msgspec  # noqa: F401
import nats  # noqa: F401
import rich.console
import rich.table  # noqa: F401
import typer
import typer.core  # noqa: F401

MODULES = frozenset(
    {
        "fcntl",
        "pwd",
        "grp",
        "resource",
        "termios",
        "tty",
        "pty",
        "posix",
        "syslog",
        "readline",
        "curses",
        "crypt",
        "nis",
        "spwd",
    }
)
SIGNALS = frozenset({"SIGTERM", "SIGINT", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV"})
"""What Windows has of them."""
NAMES = (
    *(
        "fork",
        "forkpty",
        "register_at_fork",
        "getuid",
        "geteuid",
        "getgid",
        "setsid",
        "getpgid",
        "killpg",
        "waitid",
        "wait",
    ),
    *(
        "sysconf",
        "uname",
        "getloadavg",
        "nice",
        "mkfifo",
        "fchmod",
        "chown",
        "sched_getaffinity",
        "O_CLOEXEC",
        "O_NONBLOCK",
    ),
)


class Refuses(importlib.abc.MetaPathFinder):
    """Finds nothing that is only there on POSIX systems."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}: this is Windows", name=name)
        return None


def take_away() -> None:
    """From here on, this is a system without POSIX."""
    assert not [name for name in sys.modules if name == "naq" or name.startswith("naq.")]
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Refuses())
    for name in [name for name in dir(signal) if name.startswith("SIG") and name[3] != "_" and name not in SIGNALS]:
        delattr(signal, name)
    for name in NAMES:
        if hasattr(os, name):
            delattr(os, name)
    sys.platform = "win32"


if __name__ == "__main__":
    take_away()
    from naq.cli import main

    main()
