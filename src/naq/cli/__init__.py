"""The command line: it parses arguments, calls one service, and prints the answer.

A run goes through `main`, `root` (global options, the list of commands), one command's module, one service, and `render`. A
command's module, and what it needs, is imported when the command runs (`lazy`): help and completion come from the list in
`root`, so they load no services and no NATS client. Only tables load `rich`.

The settings are read once a run, by `context.Options`; services get them ready-made.

Exit codes: 0 done; 1 what was asked for is not there, or failed; 2 bad input or usage; 3 could not ask (no server, no
answer); 130 interrupted. Standard output is the answer and nothing else; logs and complaints go to standard error.

Order: `say`, `log_lines`, `lazy`, `overview`, `completion`, `context`, `running`, `asking`, `forms`, `render`,
`alerts`, `backup`, `demo`, `doctor`, `health`, `permissions`, `processes`, `server`, `store`, `queues`, `preview`,
`schedules`, `sets`, `verify`, `schedule_history`, `jobs`, `schedule_changes`, `schedule_commands`, `root`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from naq.exceptions import InvalidInput, NaqError, NoSuchNamespace, ServiceError, StoreError

__all__ = ["exit_code", "main", "run"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code. A `NaqError` is printed as one message; ``--debug`` adds its traceback."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run the command; its exit code. Errors of usage are reported by Typer, which exits like a program."""
    if arguments == ["--version"]:  # without loading the rest
        from naq import __version__

        print(f"naq {__version__}")
        return 0
    from naq.cli.context import FAILED, INTERRUPTED
    from naq.cli.root import command

    try:
        command()(args=arguments, prog_name="naq")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED if end.code else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except NaqError as error:
        _complain(error, "--debug" in arguments)
        return exit_code(error)
    return 0


def _complain(error: NaqError, debug: bool) -> None:
    import traceback

    from rich.console import Console
    from rich.markup import escape

    from naq.cli.say import say
    from naq.printable import printable

    if debug:
        say("".join(traceback.format_exception(error)), error=True, lines=True)
    if isinstance(error, InvalidInput):
        complaint = "\n".join(printable(str(problem)) for problem in error.problems)
    else:
        complaint = printable(str(error), lines=True)
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]naq:[/] {escape(complaint)}")


def exit_code(error: NaqError) -> int:
    """The exit code for an error."""
    from naq.cli.context import BAD_INPUT, COULD_NOT_ASK, FAILED

    if isinstance(error, InvalidInput):
        return BAD_INPUT
    if isinstance(error, NoSuchNamespace):
        return FAILED
    if isinstance(error, StoreError | ServiceError) or isinstance(error.__cause__, StoreError):
        return COULD_NOT_ASK
    return FAILED
