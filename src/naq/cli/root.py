"""The command ``naq`` itself: global options, and all commands in one place."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from naq.cli import alerts, doctor, jobs, processes, schedule_changes, sets, verify
from naq.cli.context import Options, examples, start_logging
from naq.cli.demo import command as demo
from naq.config import load_settings

__all__ = ["app"]

LONG_RUNNING = frozenset({"run", "scheduler", "worker"})
"""They log from the level that their application says; all others only what is wrong, unless told otherwise."""

START, CHANGE, LOOK = "Run", "Schedules and jobs", "How things stand"

app = typer.Typer(
    name="naq",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
    help="Durable schedules that fire exactly once into a durable queue, on NATS JetStream.",
    epilog=examples("naq demo", "naq run myapp:app", "naq schedule ls", "naq doctor"),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"naq {version('naq')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    nats_url: Annotated[
        str | None, typer.Option("--nats-url", help="Servers, separated by commas. Absent: the embedded server.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Which naq on that server.")] = None,
    config: Annotated[Path | None, typer.Option(help=r"A TOML file with a \[naq] table.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of the embedded server's data.")] = None,
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
        "data_dir": str(data_dir) if data_dir is not None else None,
        "log_level": log_level,
    }
    context.obj = Options({key: value for key, value in given.items() if value is not None}, config, debug)
    if context.invoked_subcommand not in LONG_RUNNING:
        start_logging(load_settings({"log_level": log_level or "ERROR"}, environment={}).log_level)


def _add(name: str, panel: str, command: Callable[..., Any], *lines: str) -> None:
    app.command(name, rich_help_panel=panel, epilog=examples(*lines))(command)


_add("demo", START, demo.demo, "naq demo", "naq demo --for 20s")
_add("run", START, processes.run_both, "naq run myapp:app")
_add("scheduler", START, processes.scheduler, "naq scheduler", "naq scheduler myapp:app --priority 10")
_add("worker", START, processes.worker, "naq worker myapp:app --queue mail --concurrency 20")
app.add_typer(processes.server, name="server", rich_help_panel=START)

app.add_typer(schedule_changes.app, name="schedule", rich_help_panel=CHANGE)
app.add_typer(jobs.app, name="job", rich_help_panel=CHANGE)
app.add_typer(jobs.queues, name="queue", rich_help_panel=CHANGE)
_add("sync", CHANGE, sets.sync, "naq sync schedules.toml --dry-run", "naq sync myapp:app --prune")
_add("import", CHANGE, sets.import_crontab, "naq import /etc/crontab --with-user > schedules.json")

_add("doctor", LOOK, doctor.doctor, "naq doctor", "naq --nats-url nats://nats.example.org doctor --json")
_add("verify", LOOK, verify.verify, "naq verify", "naq verify daily-report --since 7d", "naq verify --since 1h --json")
app.add_typer(alerts.app, name="alert", rich_help_panel=LOOK)
_add("leader", LOOK, doctor.leader, "naq leader --json")
_add("workers", LOOK, jobs.workers, "naq workers --json")
_add(
    "events",
    LOOK,
    doctor.events,
    "naq events --since 1h --schedule daily-report",
    "naq events --type job_failed --json",
)
_add("lint", LOOK, sets.lint_schedules, "naq lint")
_add("config", LOOK, doctor.config, "naq config --json", "naq --config naq.toml config")
