"""The command line: parse, call one service, render.

Exit codes: 0 done; 1 what was asked for is not there, or failed; 2 bad input or usage; 3 could not ask (no server, no
answer); 130 interrupted. Standard output is the answer and nothing else; logs and complaints go to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import typer
from rich.console import Console

from naq.cli.root import app
from naq.exceptions import InvalidInput, NaqError, ServiceError, StoreError

__all__ = ["main"]

FAILED, BAD_INPUT, COULD_NOT_ASK, INTERRUPTED = 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code. An error of naq's own is one message; ``--debug`` shows where it is from."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run the command; its exit code."""
    complain = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        code = typer.main.get_command(app)(args=arguments, prog_name="naq", standalone_mode=False)
    except click.exceptions.Abort:
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return BAD_INPUT
    except NaqError as error:
        if "--debug" in arguments:
            complain.print_exception()
        complain.print(f"[bold red]naq:[/] {_escaped(error)}")
        return exit_code(error)
    return code if isinstance(code, int) else 0


def exit_code(error: NaqError) -> int:
    """The exit code for an error."""
    if isinstance(error, InvalidInput):
        return BAD_INPUT
    if isinstance(error, StoreError | ServiceError) or isinstance(error.__cause__, StoreError):
        return COULD_NOT_ASK
    return FAILED


def _escaped(error: NaqError) -> str:
    return str(error).replace("[", "\\[")
