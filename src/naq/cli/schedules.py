"""``naq schedule add, ls``: create schedules, and list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from naq.cli.context import JsonOption, Options, actor, options_of
from naq.cli.forms import arguments, pairs, trigger_form
from naq.cli.say import say

if TYPE_CHECKING:
    from datetime import datetime

    from rich.text import Text

    from naq.jobs.job import Job
    from naq.observe.diagnosis.listing import Listed

__all__ = ["add", "ls"]


def add(
    context: typer.Context,
    func: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="The function that the job calls.")],
    every: Annotated[str | None, typer.Option(help="An interval: 10s, 5m, 1h30m.")] = None,
    cron: Annotated[str | None, typer.Option(help="A cron expression of 5 or 6 fields.")] = None,
    at: Annotated[str | None, typer.Option(help="Once, at this time (ISO).")] = None,
    tz: Annotated[str | None, typer.Option("--tz", help="IANA zone of --cron or --at.")] = None,
    schedule_id: Annotated[str | None, typer.Option("--id", help="The schedule's id.")] = None,
    arg: Annotated[
        list[str] | None, typer.Option("--arg", help="One argument: JSON, or else text. May be repeated.")
    ] = None,
    args: Annotated[str | None, typer.Option("--args", help="All positional arguments: a JSON array.")] = None,
    kwargs: Annotated[str | None, typer.Option("--kwargs", help="Keyword arguments: a JSON object.")] = None,
    queue: Annotated[str, typer.Option(help="The queue of its jobs.")] = "default",
    retries: Annotated[int, typer.Option(help="Attempts after the first.")] = 0,
    max_runs: Annotated[int | None, typer.Option(help="Fires after which it completes.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option("--set", help="Any other policy: overlap=skip, jitter=30s, catch_up=2h, ...")
    ] = None,
    if_exists: Annotated[str, typer.Option(help="raise, keep or replace.")] = "raise",
) -> None:
    """Create a schedule, and print its id."""
    from naq.cli.running import run
    from naq.jobs.job import Job

    form = {**trigger_form(every, cron, at, tz), **pairs(policy or [])}
    if max_runs is not None:
        form["max_runs"] = max_runs
    positional, keyword = arguments(arg or [], args, kwargs)
    job = Job(func=func, args=positional, kwargs=keyword, queue=queue, retries=retries)
    say(run(_add(options_of(context), job, form, schedule_id, if_exists)))


async def _add(options: Options, job: Job, form: dict[str, Any], schedule_id: str | None, if_exists: str) -> str:
    from naq.cli.running import services
    from naq.jobs.records import is_known_nowhere
    from naq.queue.service import JobService
    from naq.schedules.service import ScheduleService

    async with services(options, makes=True) as started:
        schedules = await started.get_service(ScheduleService)
        made = await schedules.schedule_job(job, form, schedule_id=schedule_id, if_exists=if_exists, actor=actor())
        if is_known_nowhere(str(job.func), await (await started.get_service(JobService)).list_workers()):
            say(f"{made}: no running worker knows the function {job.func}: its jobs wait for one that does", error=True)
        return made


def ls(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="active, paused, completed or cancelled.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List schedules, newest first."""
    from naq.cli import render
    from naq.cli.running import run
    from naq.clock import SystemClock

    found, leader = run(_ls(options_of(context), status))
    now = SystemClock().now()
    if as_json:
        from naq.schedules.entries import entry_of

        render.show_json([{**entry_of(each.standing, now), "last_outcome": each.last_outcome} for each in found])
        return
    rows = (_row(each, now) for each in found)
    headings = ("id", "status", "next run", "last run", "outcome", "runs", "when", "job")
    empty = "there are no schedules" if status is None else f"none is {status}"
    render.show_told("", headings, rows, empty, below=2)
    if found and leader is None:
        from naq.observe.diagnosis.listing import NO_LEADER, START_SCHEDULER

        say()
        say(f"{NO_LEADER}. {START_SCHEDULER.capitalize()}")


def _row(listed: Listed, now: datetime) -> tuple[str | Text, ...]:
    from naq.cli import render

    standing = listed.standing
    start = (standing.schedule_id, render.status(standing.status))
    outcome = render.status(listed.last_outcome or "-")
    schedule = standing.schedule
    if schedule is None:
        return (*start, "-", "-", outcome, "-", standing.flaw or "", "-")
    when = (render.wait(schedule.next_run_at, now), render.ago(schedule.last_run_at, now))
    return (*start, *when, outcome, str(schedule.runs), str(schedule.trigger), schedule.job.func)


async def _ls(options: Options, status: str | None) -> tuple[list[Listed], str | None]:
    """The schedules, and who leads."""
    from naq.cli.running import service
    from naq.observe.diagnosis.listing import ListService

    async with service(options, ListService) as lists:
        return await lists.schedules(status), await lists.leader()
