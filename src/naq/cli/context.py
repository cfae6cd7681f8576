"""What every command has: the global options, a way to the services, and a way to run async work."""

from __future__ import annotations

import asyncio
import getpass
import importlib
import logging
import signal
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape

from naq.app.application import Naq
from naq.config import Settings, load_settings
from naq.exceptions import InvalidInput
from naq.lifecycle import BaseService, ServiceManager
from naq.worker.signals import stopped_by

__all__ = [
    "BAD_INPUT",
    "COULD_NOT_ASK",
    "FAILED",
    "INTERRUPTED",
    "JsonOption",
    "Options",
    "absent",
    "actor",
    "examples",
    "load_app",
    "options_of",
    "run",
    "service",
    "start_logging",
    "until_told",
]

FAILED, BAD_INPUT, COULD_NOT_ASK, INTERRUPTED = 1, 2, 3, 130
"""Exit codes beside 0."""

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]

log = logging.getLogger("naq.cli")

T = TypeVar("T")
S = TypeVar("S", bound=BaseService)


@dataclass
class Options:
    """The global options, as they were given."""

    given: dict[str, Any] = field(default_factory=dict)
    """Configuration keys from the command line."""
    file: Path | None = None
    debug: bool = False

    @property
    def settings(self) -> Settings:
        """The settings out of command line, file and environment. Raises `ConfigError`."""
        return load_settings(self.given, file=self.file)

    def source(self, key: str) -> str:
        """Where the value of a setting comes from. A value given in the environment that is the default counts as that."""
        if key in self.given:
            return "command line"
        if self.file is not None and key in tomllib.loads(self.file.read_text()).get("naq", {}):
            return str(self.file)
        in_force, default = getattr(self.settings, key), getattr(load_settings({}, environment={}), key)
        if key == "instance_id":  # the default is another one each time
            default = in_force if in_force != self.settings.instance_id else default
        return "default" if in_force == default else f"NAQ_{key.upper()}"

    def with_more(self, **more: Any) -> Options:
        """The same with more configuration keys; ``None`` is not given."""
        return Options({**self.given, **{k: v for k, v in more.items() if v is not None}}, self.file, self.debug)


def options_of(context: typer.Context) -> Options:
    """The global options of this run."""
    options = context.find_root().obj
    return options if isinstance(options, Options) else Options()


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


def examples(*lines: str) -> str:
    """The end of a command's help: commands to copy, each on a line of its own."""
    heading = "Example:" if len(lines) == 1 else "Examples:"
    return "\n\n".join((heading, *(escape(line) for line in lines)))


@asynccontextmanager
async def service(options: Options, kind: type[S]) -> AsyncIterator[S]:
    """One service, started, with what it needs."""
    async with ServiceManager(options.settings) as services:
        yield await services.get_service(kind)


def actor() -> str:
    """Who asks, for the audit events."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def absent(name: str, why: str) -> typer.Exit:
    """Say that something is not there, or not in the right state; to be raised."""
    typer.echo(f"{name}: {why}", err=True)
    return typer.Exit(FAILED)


def start_logging(level: str) -> None:
    """Logs to standard error, one readable line each, unless the application has arranged for its logs already."""
    form = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    logging.basicConfig(level=level, stream=sys.stderr, format=form)


def load_app(reference: str, options: Options) -> Naq:
    """The `Naq` at ``module:attribute``, configured anew by the command line. Raises `InvalidInput`."""
    module_name, colon, attribute = reference.partition(":")
    example = "myapp:app"
    if not module_name:
        raise InvalidInput.of("MODULE:APP", reference, "names no module", example)
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
def until_told(hurry: Callable[[], object] | None = None, patience: float | None = None) -> Iterator[asyncio.Event]:
    """An event that SIGTERM, SIGINT or a closed terminal sets; a second signal ends the process at once.

    With ``hurry`` the second signal calls that, and the third ends the process. With ``patience`` a process whose event loop is
    blocked so many seconds after the first signal ends, too.
    """
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not under nohup
        numbers.append(signal.SIGHUP)
    with stopped_by(numbers, hurry, patience) as stopped:
        yield stopped
