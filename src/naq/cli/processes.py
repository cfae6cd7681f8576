"""``naq run, scheduler, worker``: they run until they are stopped by a signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from naq.cli.context import Options, options_of, start_logging
from naq.cli.say import say
from naq.exceptions import InvalidInput

if TYPE_CHECKING:
    from naq.app.application import Naq
    from naq.lifecycle import ServiceManager

__all__ = ["queue_weights", "run_both", "scheduler", "worker"]

AppArgument = Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the application's Naq is.")]
PriorityOption = Annotated[int | None, typer.Option(help="A standby with a higher priority takes over.")]
QueueOption = Annotated[
    list[str] | None,
    typer.Option("--queue", help="A queue to serve; mail=3 with its weight among the queues. May be given again."),
]
InstanceOption = Annotated[str | None, typer.Option(help="Name of this process among the others.")]


def run_both(
    context: typer.Context,
    application: AppArgument,
    queue: QueueOption = None,
    concurrency: Annotated[int | None, typer.Option(help="Jobs at the same time.")] = None,
    priority: PriorityOption = None,
    instance_id: InstanceOption = None,
) -> None:
    """Run a scheduler and a worker in one process, until Ctrl-C or SIGTERM."""
    from naq.cli.running import run

    options = options_of(context).with_more(concurrency=concurrency, priority=priority, instance_id=instance_id)
    run(_run_app(_app_serving(application, options, queue), scheduler=True, worker=True, name="run"))


def scheduler(
    context: typer.Context,
    application: Annotated[
        str | None, typer.Argument(metavar="[MODULE:APP]", help="An application whose declared schedules to store.")
    ] = None,
    priority: PriorityOption = None,
    instance_id: InstanceOption = None,
) -> None:
    """Run a scheduler, as leader or standby, until Ctrl-C or SIGTERM."""
    from naq.cli.running import load_app, run

    options = options_of(context).with_more(priority=priority, instance_id=instance_id)
    app = _bare_app(options) if application is None else load_app(application, options)
    run(_run_app(app, scheduler=True, worker=False, name="scheduler"))


def worker(
    context: typer.Context,
    application: AppArgument,
    queue: QueueOption = None,
    concurrency: Annotated[int | None, typer.Option(help="Jobs at the same time.")] = None,
    instance_id: InstanceOption = None,
) -> None:
    """Run a worker: it takes jobs of its queues until Ctrl-C or SIGTERM, then drains."""
    from naq.cli.running import run

    options = options_of(context).with_more(concurrency=concurrency, instance_id=instance_id)
    run(_run_app(_app_serving(application, options, queue), scheduler=False, worker=True, name="worker"))


def _app_serving(application: str, options: Options, queues: Sequence[str] | None) -> Naq:
    """The application, with the queues and weights of the command line."""
    from naq.cli.running import load_app

    weights = queue_weights(queues or ())
    app = load_app(application, options.with_more(queues=list(weights) or None))
    app.weights |= {queue: weight for queue, weight in weights.items() if weight is not None}
    return app


def queue_weights(given: Sequence[str]) -> dict[str, int | None]:
    """The queues of ``mail`` and ``mail=3``, each with its weight or ``None``. Raises `InvalidInput`."""
    weights: dict[str, int | None] = {}
    for each in given:
        name, equals, weight = each.partition("=")
        if equals and not (weight.isascii() and weight.isdigit() and int(weight)):
            raise InvalidInput.of("--queue", each, "the weight must be a whole number, 1 or more", "mail=3")
        weights[name] = int(weight) if equals else None
    return weights


def _bare_app(options: Options) -> Naq:
    from naq.app.application import Naq

    app = Naq()
    app.configure(options.given, options.file)
    return app


async def _run_app(app: Naq, *, scheduler: bool, worker: bool, name: str) -> None:
    from naq.cli.running import until_stopped
    from naq.scheduler.service import SchedulerService

    start_logging(app.settings.log_level, of_jobs=True)

    def ready(services: ServiceManager) -> None:
        found = services.find(SchedulerService)
        leads = "" if found is None else f" leader={str(found.is_leader).lower()}"
        say(f"naq {name} ready instance={app.settings.instance_id}{leads}")

    with until_stopped(patience=app.settings.drain_timeout) as stopped:
        try:
            await app.run(scheduler=scheduler, worker=worker, stop=stopped, ready=ready)
        finally:
            await app.close()
