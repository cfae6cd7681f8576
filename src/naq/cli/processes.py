"""Commands that run until they are told to stop: scheduler, worker, both, and the embedded server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from naq.app.application import Naq
from naq.cli import render
from naq.cli.context import FAILED, JsonOption, Options, examples, load_app, options_of, run, start_logging, until_told
from naq.lifecycle import ServiceManager
from naq.scheduler.service import SchedulerService
from naq.store.embedded.server import EmbeddedServer, describe, stop

__all__ = ["run_both", "scheduler", "server", "worker"]

server = typer.Typer(no_args_is_help=True, help="The NATS server that naq runs itself.")

AppArgument = Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the application's Naq is.")]
PriorityOption = Annotated[int | None, typer.Option(help="A standby with a higher priority takes over.")]
InstanceOption = Annotated[str | None, typer.Option(help="Name of this process among the others.")]


def run_both(
    context: typer.Context,
    application: AppArgument,
    queue: Annotated[list[str] | None, typer.Option("--queue", help="A queue to serve; may be given again.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Jobs at the same time.")] = None,
    priority: PriorityOption = None,
    instance_id: InstanceOption = None,
) -> None:
    """Run a scheduler and a worker in one process, until Ctrl-C or SIGTERM."""
    options = options_of(context).with_more(
        queues=queue, concurrency=concurrency, priority=priority, instance_id=instance_id
    )
    run(_run_app(load_app(application, options), scheduler=True, worker=True, name="run"))


def scheduler(
    context: typer.Context,
    application: Annotated[
        str | None, typer.Argument(metavar="[MODULE:APP]", help="An application whose declared schedules to store.")
    ] = None,
    priority: PriorityOption = None,
    instance_id: InstanceOption = None,
) -> None:
    """Run a scheduler: it leads, or stands by for whoever does, until Ctrl-C or SIGTERM."""
    options = options_of(context).with_more(priority=priority, instance_id=instance_id)
    app = _bare_app(options) if application is None else load_app(application, options)
    run(_run_app(app, scheduler=True, worker=False, name="scheduler"))


def worker(
    context: typer.Context,
    application: AppArgument,
    queue: Annotated[list[str] | None, typer.Option("--queue", help="A queue to serve; may be given again.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Jobs at the same time.")] = None,
    instance_id: InstanceOption = None,
) -> None:
    """Run a worker: it takes jobs of its queues until Ctrl-C or SIGTERM, then drains."""
    options = options_of(context).with_more(queues=queue, concurrency=concurrency, instance_id=instance_id)
    run(_run_app(load_app(application, options), scheduler=False, worker=True, name="worker"))


def _bare_app(options: Options) -> Naq:
    app = Naq()
    app.configure(options.given, options.file)
    return app


async def _run_app(app: Naq, *, scheduler: bool, worker: bool, name: str) -> None:
    start_logging(app.settings.log_level)

    def ready(services: ServiceManager) -> None:
        found = services.find(SchedulerService)
        leads = "" if found is None else f" leader={str(found.is_leader).lower()}"
        print(f"naq {name} ready instance={app.settings.instance_id}{leads}", flush=True)

    with until_told(patience=app.settings.drain_timeout) as stopped:
        try:
            await app.run(scheduler=scheduler, worker=worker, stop=stopped, ready=ready)
        finally:
            await app.close()


@server.command("run", epilog=examples("naq --data-dir /var/lib/naq server run"))
def server_run(context: typer.Context) -> None:
    """Hold the embedded server up, though no other naq process runs, until Ctrl-C or SIGTERM."""
    run(_hold(options_of(context)))


async def _hold(options: Options) -> None:
    embedded = EmbeddedServer(options.settings.data_dir)
    with until_told() as stopped:
        address = await embedded.join()
        try:
            print(f"naq server ready {address.url} pid={embedded.pid}", flush=True)
            await stopped.wait()
        finally:
            await embedded.leave()


@server.command("status", epilog=examples("naq server status --json"))
def server_status(context: typer.Context, as_json: JsonOption = False) -> None:
    """What runs in the data directory; exit code 1 when nothing does."""
    settings = options_of(context).settings
    found = describe(settings.data_dir)
    if found is None:
        if as_json:
            render.show_json(None)
        else:
            print(f"no embedded server runs in {settings.data_dir}")
        raise typer.Exit(FAILED)
    fields: dict[str, Any] = {
        "url": found.url,
        "pid": found.pid,
        "version": found.version,
        "answers": found.answers,
        "members": list(found.members),
        "data_dir": str(settings.data_dir),
        "log_file": str(found.log_file),
    }
    if as_json:
        render.show_json(fields)
    else:
        render.show_fields("embedded server", fields.items())


@server.command("stop", epilog=examples("naq server stop"))
def server_stop(context: typer.Context) -> None:
    """Stop the embedded server, whoever uses it; exit code 1 when none ran."""
    settings = options_of(context).settings
    if not run(stop(settings.data_dir)):
        print(f"no embedded server runs in {settings.data_dir}")
        raise typer.Exit(FAILED)
    print("stopped")
