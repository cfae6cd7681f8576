"""Running a command's work: a service for it, an event loop, signals, and the user's application."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from naq.cli.context import INTERRUPTED, Options
from naq.exceptions import InvalidInput
from naq.lifecycle import BaseService, ServiceManager

if TYPE_CHECKING:
    from naq.app.application import Naq

__all__ = ["load_app", "run", "service", "services", "until_stopped"]

log = logging.getLogger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound=BaseService)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run async work to its end; Ctrl-C ends it, and the command with its exit code.

    `SystemExit` out of any other task, which a job may have started, does not end it: asyncio stops the loop for that, and
    it is set going again. So it is with `KeyboardInterrupt` when that is not what Ctrl-C raises.
    """
    try:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            task = loop.create_task(work)
            while True:
                try:
                    return loop.run_until_complete(task)
                except (SystemExit, KeyboardInterrupt) as error:
                    if task.done() or _is_ctrl_c(error):
                        raise
                    log.error("a task that a job started raised %r; everything else goes on", error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(INTERRUPTED) from None


def _is_ctrl_c(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler


@asynccontextmanager
async def services(options: Options, *, makes: bool = False) -> AsyncIterator[ServiceManager]:
    """Services for one command. ``makes``: it stores something new, so the namespace is made if it does not exist; for any
    other command that is an error (`NoSuchNamespace`)."""
    from naq.store.nats.connection import ConnectionService
    from naq.store.nats.namespaces import require_namespace

    async with ServiceManager(options.settings) as started:
        if not makes:
            await require_namespace(await started.get_service(ConnectionService))
        yield started


@asynccontextmanager
async def service(options: Options, kind: type[S], *, makes: bool = False) -> AsyncIterator[S]:
    """One service, started, with those it needs; ``makes`` as for `services`."""
    async with services(options, makes=makes) as started:
        yield await started.get_service(kind)


def load_app(reference: str, options: Options) -> Naq:
    """The `Naq` at ``module:attribute``, with the command line's configuration. Raises `InvalidInput`."""
    from naq.app.application import Naq

    module_name, colon, attribute = reference.partition(":")
    example = "myapp:app"
    if not module_name:
        raise InvalidInput.of("MODULE:APP", reference, "must name a module", example)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        reason = f"there is no module {error.name!r} here (looked in {Path.cwd()} and the installed packages)"
        raise InvalidInput.of("MODULE:APP", reference, reason, example) from None
    found = getattr(module, attribute if colon else "app", None)
    if not isinstance(found, Naq):
        reason = f"module {module_name!r} has no Naq called {attribute or 'app'!r}"
        raise InvalidInput.of("MODULE:APP", reference, reason, example)
    if options.given or options.file is not None:
        found.configure(options.given, options.file)
    return found


@contextmanager
def until_stopped(hurry: Callable[[], object] | None = None, patience: float | None = None) -> Iterator[asyncio.Event]:
    """An event that SIGTERM, SIGINT or a closed terminal sets; a second signal ends the process at once.

    With ``hurry`` the second signal calls that, and the third ends the process. With ``patience`` a process whose event
    loop is blocked so many seconds after the first signal ends, too.
    """
    from naq.worker.signals import stopped_by

    numbers = [signal.SIGTERM, signal.SIGINT]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not under nohup
        numbers.append(signal.SIGHUP)
    with stopped_by(numbers, hurry, patience) as stopped:
        yield stopped
