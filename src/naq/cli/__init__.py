"""The command line: parse, call one service, render.

Exit codes: 0 done; 1 what was asked for is not there, or failed; 2 bad input or usage; 3 could not ask (no server, no
answer); 130 interrupted. Standard output is the answer and nothing else; logs and complaints go to standard error.

Order: `context`, `forms`, `render`, `alerts`, `demo`, `doctor`, `processes`, `schedules`, `sets`, `verify`,
`schedule_history`, `jobs`, `schedule_changes`, `root`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.markup import escape

from naq.cli.context import BAD_INPUT, COULD_NOT_ASK, FAILED, INTERRUPTED
from naq.exceptions import InvalidInput, NaqError, ServiceError, StoreError

__all__ = ["exit_code", "main", "run"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code. An error of naq's own is one message; ``--debug`` shows where it is from."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run the command; its exit code. Typer complains of usage by itself, and ends as a program does."""
    from naq.cli.root import app  # its rooms import from this package

    try:
        typer.main.get_command(app)(args=arguments, prog_name="naq")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED if end.code else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except NaqError as error:
        complaints = Console(stderr=True, soft_wrap=True, highlight=False)
        if "--debug" in arguments:
            complaints.print_exception()
        complaints.print(f"[bold red]naq:[/] {escape(str(error))}")
        return exit_code(error)
    return 0


def exit_code(error: NaqError) -> int:
    """The exit code for an error."""
    if isinstance(error, InvalidInput):
        return BAD_INPUT
    if isinstance(error, StoreError | ServiceError) or isinstance(error.__cause__, StoreError):
        return COULD_NOT_ASK
    return FAILED
