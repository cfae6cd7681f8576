"""The command ``naq`` itself: global options, and all commands in one place."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from naq.cli import demo, doctor, jobs, processes, schedules, sets
from naq.cli.context import Options, start_logging

__all__ = ["app"]

app = typer.Typer(
    name="naq",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
    help="Durable schedules that fire exactly once into a durable queue, on NATS JetStream.",
    epilog="Examples:  naq demo  |  naq run myapp:app  |  naq schedule ls  |  naq doctor",
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
    config: Annotated[Path | None, typer.Option(help="A TOML file with a [naq] table.")] = None,
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
    made = Options({key: value for key, value in given.items() if value is not None}, config, debug)
    context.obj = made
    if context.invoked_subcommand is not None:
        start_logging(log_level.upper() if log_level else processes.default_level(context.invoked_subcommand))


app.add_typer(schedules.app, name="schedule")
app.add_typer(jobs.app, name="job")
app.add_typer(jobs.queues, name="queue")
app.add_typer(processes.server, name="server")
app.command("demo", epilog="Example:  naq demo --for 20s")(demo.demo)
app.command("run", epilog="Example:  naq run myapp:app")(processes.run_both)
app.command("scheduler", epilog="Example:  naq scheduler  |  naq scheduler myapp:app")(processes.scheduler)
app.command("worker", epilog="Example:  naq worker myapp:app --queue mail --concurrency 20")(processes.worker)
app.command("workers", epilog="Example:  naq workers --json")(jobs.workers)
app.command("leader", epilog="Example:  naq leader --json")(doctor.leader)
app.command("doctor", epilog="Example:  naq doctor")(doctor.doctor)
app.command("config", epilog="Example:  naq config --json")(doctor.config)
app.command("events", epilog="Example:  naq events --since 1h --schedule daily-report")(doctor.events)
app.command("sync", epilog="Example:  naq sync schedules.toml --dry-run  |  naq sync myapp:app --prune")(sets.sync)
app.command("import", epilog="Example:  naq import /etc/crontab --with-user > schedules.json")(sets.import_crontab)
app.command("lint", epilog="Example:  naq lint")(sets.lint_schedules)
