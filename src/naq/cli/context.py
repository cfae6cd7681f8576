"""What every command has: the global options, its exit codes, and its complaints."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from naq.cli.say import say
from naq.exceptions import InvalidInput

if TYPE_CHECKING:
    from naq.config import Settings

__all__ = [
    "BAD_INPUT",
    "COULD_NOT_ASK",
    "FAILED",
    "INTERRUPTED",
    "JsonOption",
    "Options",
    "absent",
    "actor",
    "options_of",
    "start_logging",
]

FAILED, BAD_INPUT, COULD_NOT_ASK, INTERRUPTED = 1, 2, 3, 130
"""Exit codes beside 0."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@dataclass
class Options:
    """The global options, as they were given."""

    given: dict[str, Any] = field(default_factory=dict)
    """Configuration keys from the command line."""
    file: Path | None = None
    debug: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The settings from command line, file and environment, loaded once. Raises `ConfigError`."""
        from naq.config import load_settings

        return load_settings(self.given, file=self.file)

    def source(self, key: str) -> str:
        """Where the value of a setting comes from. A value in the environment that equals the default counts as default."""
        from naq.config import load_settings
        from naq.text_file import parse_text, read_text_file

        if key in self.given:
            return "command line"
        if self.file is not None and key in parse_text(
            read_text_file(self.file, "config file", "naq.toml"), ".toml"
        ).get("naq", {}):
            return str(self.file)
        if key == "instance_id":  # its default is different each time
            again = load_settings(self.given, file=self.file).instance_id
            return "default" if again != self.settings.instance_id else f"NAQ_{key.upper()}"
        in_force, default = getattr(self.settings, key), getattr(load_settings({}, environment={}), key)
        return "default" if in_force == default else f"NAQ_{key.upper()}"

    def with_more(self, **more: Any) -> Options:
        """The same with more configuration keys; ``None`` is not given."""
        return Options({**self.given, **{k: v for k, v in more.items() if v is not None}}, self.file, self.debug)


def options_of(context: typer.Context) -> Options:
    """The global options of this run."""
    options = context.find_root().obj
    return options if isinstance(options, Options) else Options()


def actor() -> str:
    """Who asks, for the audit events."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):  # no name in the environment; Windows has no other place for it
        return "cli"


def absent(name: str, why: str) -> typer.Exit:
    """Say that something is not there, or not in the right state; to be raised."""
    say(f"{name}: {why}", error=True)
    return typer.Exit(FAILED)


def start_logging(level: str, *, of_jobs: bool) -> None:
    """Log to standard error, one readable line each, unless the application has set up logging. Raises `InvalidInput`.

    ``of_jobs``: this process runs jobs, and their lines show the job's id.
    """
    import logging

    if level.upper() not in LEVELS:
        raise InvalidInput.of("log_level", level, f"must be one of {', '.join(LEVELS)}", "INFO")
    from naq.cli.log_lines import LineFormatter

    form = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    if of_jobs:
        from naq.jobs.run_log import carry_job_ids

        carry_job_ids()
        form = "%(asctime)s %(levelname)-7s %(name)s: %(naq_job)s%(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(form))
    logging.basicConfig(level=level.upper(), handlers=[handler])
