"""Commands that are loaded when they are run: help and completion show them from what is written about them here.

Importing all commands takes ten times as long as most of them need to do their work.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["LazyCommand", "LazyGroup", "examples", "group"]


class LazyCommand(TyperCommand):
    """A command as help and completion show it. `load` imports the real one."""

    def __init__(
        self,
        name: str,
        where: str,
        text: str,
        lines: tuple[str, ...] = (),
        panel: str | None = None,
        hidden: bool = False,
    ) -> None:
        """``where``: ``module:function`` below `naq.cli`. ``text``: the first paragraph of the function's docstring.
        ``lines``: examples."""
        super().__init__(name, help=text, rich_help_panel=panel, hidden=hidden)
        self.where = where
        self.lines = lines

    def load(self) -> Any:
        """The command itself."""
        module, _, function = self.where.partition(":")
        work: Callable[..., Any] = getattr(importlib.import_module(f"naq.cli.{module}"), function)
        app = typer.Typer(rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False)
        app.command(self.name, epilog=examples(*self.lines), hidden=self.hidden)(work)
        return typer.main.get_command(app)


class LazyGroup(TyperGroup):
    """A group of commands, each loaded when it is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, LazyCommand) else command, rest


def group(name: str, text: str, commands: Iterable[LazyCommand], panel: str | None = None) -> LazyGroup:
    """A group below the root."""
    return LazyGroup(
        name=name,
        help=text,
        commands=list(commands),
        rich_markup_mode="rich",
        rich_help_panel=panel,
        no_args_is_help=True,
    )


def examples(*lines: str) -> str:
    """The end of a command's help: commands to copy, each on its own line."""
    heading = "Example:" if len(lines) == 1 else "Examples:"
    return "\n\n".join((heading, *(line.replace("[", "\\[") for line in lines)))
