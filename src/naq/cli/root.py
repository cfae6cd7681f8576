"""The command ``naq`` itself: global options, and the list of all commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from naq import __version__
from naq.cli.completion import complete_as_written
from naq.cli.context import Options, start_logging
from naq.cli.lazy import LazyCommand, LazyGroup, examples, group
from naq.cli.overview import look
from naq.cli.say import say
from naq.cli.schedule_commands import schedule_commands

__all__ = ["command"]

LONG_RUNNING = frozenset({"run", "scheduler", "worker"})
"""They log at the level of their application; all others log only errors, unless --log-level is given."""
RUNS_JOBS = frozenset({"demo"})
"""Of the others, those whose log lines may be a job's."""
START, CHANGE, LOOK = "Run", "Schedules and jobs", "How things stand"


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"naq {__version__}")
        raise typer.Exit


def options(
    context: typer.Context,
    nats_url: Annotated[
        str | None, typer.Option("--nats-url", help="Servers, separated by commas. Absent: the embedded server.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Which naq on that server.")] = None,
    config: Annotated[Path | None, typer.Option(help=r"A TOML file with a \[naq] table.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Directory of the embedded server's data.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Global options stand before the command; each is also a configuration key (NAQ_NATS_URL, ...)."""
    given = {
        "nats_url": nats_url,
        "namespace": namespace,
        "data_dir": data_dir,
        "log_level": log_level,
    }
    context.obj = Options({key: value for key, value in given.items() if value is not None}, config, debug)
    if context.invoked_subcommand not in LONG_RUNNING:
        start_logging(log_level or "ERROR", of_jobs=context.invoked_subcommand in RUNS_JOBS)


def command() -> Any:
    """The command with all its subcommands."""
    app = typer.Typer(
        name="naq",
        cls=LazyGroup,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help="Durable schedules that fire exactly once into a durable queue, on NATS JetStream.",
        epilog=examples("naq demo", "naq run myapp:app", "naq schedule ls", "naq doctor"),
    )
    app.callback()(options)
    root = typer.main.get_command(app)
    complete_as_written()
    if isinstance(root, LazyGroup):
        for each in (*_start(), *_change(), *look(LOOK)):
            root.add_command(each)
    return root


def _start() -> tuple[Any, ...]:
    return (
        LazyCommand(
            "demo",
            "demo.command:demo",
            "Show naq at work: embedded server, schedules of each kind, a worker, a live table. Ctrl-C ends it.",
            ("naq demo", "naq demo --for 20s"),
            START,
        ),
        LazyCommand(
            "run",
            "processes:run_both",
            "Run a scheduler and a worker in one process, until Ctrl-C or SIGTERM.",
            ("naq run myapp:app",),
            START,
        ),
        LazyCommand(
            "scheduler",
            "processes:scheduler",
            "Run a scheduler, as leader or standby, until Ctrl-C or SIGTERM.",
            ("naq scheduler", "naq scheduler myapp:app --priority 10"),
            START,
        ),
        LazyCommand(
            "worker",
            "processes:worker",
            "Run a worker: it takes jobs of its queues until Ctrl-C or SIGTERM, then drains.",
            (
                "naq worker myapp:app --queue mail --concurrency 20",
                "naq worker myapp:app --queue mail=3 --queue default",
            ),
            START,
        ),
        group("server", "The NATS server that naq runs itself.", _server(), START),
        group("store", "The streams of a namespace.", _store(), START),
    )


def _store() -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "replicas",
            "store:replicas",
            "Give all streams of the namespace so many replicas. The data stay, and everything runs on.",
            ("naq store replicas 3",),
        ),
    )


def _server() -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "run",
            "server:run_server",
            "Keep the embedded server running while no other naq process does, until Ctrl-C or SIGTERM.",
            ("naq --data-dir /var/lib/naq server run",),
        ),
        LazyCommand(
            "status",
            "server:status",
            "What runs in the data directory; exit code 1 when no server does.",
            ("naq server status --json",),
        ),
        LazyCommand(
            "stop",
            "server:stop",
            "Stop the embedded server for all its users; exit code 1 when none ran.",
            ("naq server stop",),
        ),
    )


def _change() -> tuple[Any, ...]:
    return (
        group(
            "schedule",
            "Create, look at and change schedules.",
            schedule_commands(),
            CHANGE,
        ),
        group("job", "Enqueue jobs, look at them, cancel and requeue them.", _jobs(), CHANGE),
        group("queue", "Look at queues, limit and empty them.", _queues(), CHANGE),
        LazyCommand(
            "sync",
            "sets:sync",
            "Bring declared schedules into the store, as a set. Schedules of others are never touched.",
            ("naq sync schedules.toml --dry-run", "naq sync myapp:app --prune"),
            CHANGE,
        ),
        LazyCommand(
            "import",
            "sets:import_crontab",
            "Turn a crontab into a file that 'naq sync' reads (JSON, on standard output); complaints go to standard error.",
            ("naq import /etc/crontab --with-user > schedules.json",),
            CHANGE,
        ),
    )


def _jobs() -> tuple[LazyCommand, ...]:
    requeue = "Queue a dead job again, or all that match."
    requeued = ("naq job requeue report-1", "naq job requeue --all --queue mail")
    return (
        LazyCommand(
            "add",
            "jobs:add",
            "Enqueue a job, and print its id.",
            ("naq job add reports:send --arg eu", "naq job add reports:send --arg eu --in 5m --retries 3"),
        ),
        LazyCommand(
            "ls",
            "jobs:ls",
            "List jobs, those enqueued last first. Finished ones are there while their results are kept.",
            ("naq job ls --status failed", "naq job ls --queue mail --json"),
        ),
        LazyCommand(
            "show",
            "jobs:show",
            "One job: where it is in its life and why it is not further, what it returned, or why it failed.",
            ("naq job show daily-report/20261124T080000Z",),
        ),
        LazyCommand(
            "cancel",
            "jobs:cancel",
            "Cancel a job: a waiting one is removed, a running one is asked to stop.",
            ("naq job cancel report-1 --reason 'wrong month'",),
        ),
        LazyCommand("requeue", "jobs:requeue", requeue, requeued),
        LazyCommand("retry", "jobs:requeue", requeue, requeued, hidden=True),
        LazyCommand("dead", "jobs:dead", "List dead letters, newest first.", ("naq job dead --queue mail",)),
        LazyCommand(
            "purge",
            "jobs:purge",
            "Remove dead letters that are older than an age.",
            ("naq job purge --older-than 30d",),
        ),
    )


def _queues() -> tuple[LazyCommand, ...]:
    return (
        LazyCommand("show", "queues:show", "How many jobs wait and run in a queue.", ("naq queue show mail",)),
        LazyCommand(
            "limit",
            "queues:limit",
            "Limit or pause a queue for all workers; limits that are not given stay.",
            ("naq queue limit mail --max-concurrent 5 --rate 2", "naq queue limit mail --pause"),
        ),
        LazyCommand("purge", "queues:purge", "Remove all waiting jobs of a queue.", ("naq queue purge mail --yes",)),
    )
