"""``naq queue ...``: look at queues, limit and empty them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from naq.cli.asking import ask_jobs
from naq.cli.context import FAILED, JsonOption
from naq.cli.say import say

if TYPE_CHECKING:
    from naq.queue.service import JobService

__all__ = ["limit", "purge", "show"]

QueueArgument = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue.")]


def purge(
    context: typer.Context,
    queue: QueueArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove all waiting jobs of a queue."""
    if not yes:
        question = f"Remove all waiting jobs of {queue!r}?"
        if not sys.stdin.isatty():
            raise typer.BadParameter("must be given: there is no terminal to ask", param_hint="--yes")
        if not typer.confirm(question):
            raise typer.Exit(FAILED)
    say(f"{ask_jobs(context, lambda jobs: jobs.purge_queue(queue))} removed")


def show(
    context: typer.Context,
    queue: QueueArgument,
    as_json: JsonOption = False,
) -> None:
    """How many jobs wait and run in a queue."""
    from naq.cli import render
    from naq.store.codec import plain_form

    info = ask_jobs(context, lambda jobs: jobs.queue_info(queue))
    if as_json:
        render.show_json(plain_form(info))
        return
    limits = info.limits
    render.show_fields(
        queue,
        [
            ("waiting", info.waiting),
            ("with workers", info.in_hand),
            ("workers", info.workers),
            ("at once", limits.max_concurrent),
            ("rate", None if limits.rate is None else f"{limits.rate:g} starts a second"),
            ("paused", "yes: no worker gets its jobs" if limits.paused else None),
        ],
    )


def limit(
    context: typer.Context,
    queue: QueueArgument,
    max_concurrent: Annotated[int | None, typer.Option("--max-concurrent", help="Jobs at once; 0: no limit.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Starts a second; 0: no limit.")] = None,
    pause: Annotated[
        bool | None,
        typer.Option("--pause/--resume", help="Give its jobs to no worker, or continue.", show_default=False),
    ] = None,
) -> None:
    """Limit or pause a queue for all workers; limits that are not given stay."""

    async def change(jobs: JobService) -> None:
        known = await jobs.queues.limits(queue)
        await jobs.set_queue_limits(
            queue,
            max_concurrent=known.max_concurrent if max_concurrent is None else max_concurrent or None,
            rate=known.rate if rate is None else rate or None,
            paused=known.paused if pause is None else pause,
        )

    ask_jobs(context, change, makes=True)
    say(f"{queue}: limits set")
