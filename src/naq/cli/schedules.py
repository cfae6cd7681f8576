"""``naq schedule add, ls, next, explain``: schedules made, and what they will do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Annotated, Any

import typer

from naq.cli import render
from naq.cli.context import JsonOption, Options, absent, actor, examples, options_of, run, service
from naq.cli.forms import arguments, pairs, trigger_form
from naq.clock import SystemClock
from naq.jobs.job import Job
from naq.observe.diagnosis.jobs import NOBODY_LEADS, START_SCHEDULER
from naq.observe.diagnosis.service import AccountService
from naq.schedules.forms.specification import parse_schedule
from naq.schedules.preview import Upcoming
from naq.schedules.service import ScheduleService
from naq.timing.triggers import AnyOf, Trigger, dst_mark
from naq.timing.zones import get_zone

__all__ = ["DEFAULT_COUNT", "NO_SCHEDULE", "Coming", "CountOption", "IdArgument", "app", "zone_of"]

app = typer.Typer(no_args_is_help=True, help="Create, look at and change schedules.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")]
DEFAULT_COUNT = 10
NO_SCHEDULE = "there is no such schedule"


@app.command(
    epilog=examples(
        "naq schedule add reports:send --cron '0 9 * * MON-FRI' --tz Europe/Berlin --id daily-report",
        "naq schedule add reports:send --every 10s --arg eu --arg 3 --set overlap=skip --set jitter=2s",
        "naq schedule add reports:send --at 2030-01-31T09:00 --tz Europe/Berlin --args '[\"eu\"]'",
    )
)
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
    form = {**trigger_form(every, cron, at, tz), **pairs(policy or [])}
    if max_runs is not None:
        form["max_runs"] = max_runs
    positional, keyword = arguments(arg or [], args, kwargs)
    job = Job(func=func, args=positional, kwargs=keyword, queue=queue, retries=retries)
    print(run(_add(options_of(context), job, form, schedule_id, if_exists)))


async def _add(options: Options, job: Job, form: dict[str, Any], schedule_id: str | None, if_exists: str) -> str:
    async with service(options, ScheduleService) as schedules:
        return await schedules.schedule_job(job, form, schedule_id=schedule_id, if_exists=if_exists, actor=actor())


@app.command("ls", epilog=examples("naq schedule ls --status paused", "naq schedule ls --json"))
def ls(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="active, paused, completed or cancelled.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List schedules, newest first."""
    found, leader = run(_ls(options_of(context), status))
    if as_json:
        render.show_json(found)
        return
    now = SystemClock().now()
    rows = (
        (
            entry["schedule_id"],
            render.status(entry["status"]),
            render.wait(entry["next_run_at"], now),
            render.ago(entry.get("last_run_at"), now),
            render.status(entry["last_outcome"] or "-"),
            str(entry.get("runs", "-")),
            entry.get("description") or entry.get("reason", ""),
            _job_name(entry),
        )
        for entry in found
    )
    headings = ("id", "status", "next run", "last run", "outcome", "runs", "when", "job")
    empty = "there are no schedules" if status is None else f"none is {status}"
    render.show_told("", headings, rows, empty, below=2)
    if found and leader is None:
        print(f"\n{NOBODY_LEADS}. {START_SCHEDULER.capitalize()}")


def _job_name(entry: dict[str, Any]) -> str:
    return str(entry["job"]["func"]) if "job" in entry else "-"


async def _ls(options: Options, status: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """The schedules, and who leads."""
    async with service(options, AccountService) as accounts:
        return await accounts.schedules(status), await accounts.leader()


@dataclass(frozen=True)
class Coming:
    """The next nominal times of a schedule, and the trigger that they come from."""

    times: tuple[Upcoming, ...]
    trigger: Trigger

    def forms(self) -> list[dict[str, Any]]:
        return [
            {
                "nominal_at": each.nominal_at.timestamp(),
                "due_at": each.due_at.timestamp(),
                "reason": None if each.reason is None else str(each.reason),
                "dst": self.mark(each),
            }
            for each in self.times
        ]

    def mark(self, each: Upcoming) -> str | None:
        """What a change of the clocks did to it."""
        found = dst_mark(self.trigger, each.nominal_at)
        return None if found is None else str(found)

    def show(self, now: datetime) -> None:
        """In the schedule's own zone, where it has one: that is where its times are plain."""
        times = render.TimeColumns.of((each.nominal_at for each in self.times), *zone_of(self.trigger))
        rows = []
        for each in self.times:
            why = "" if each.reason is None else f"will not fire: {each.reason}"
            moved = f"DST: {mark}" if (mark := self.mark(each)) else ""
            late = each.due_at - each.nominal_at
            jitter = f"due {late.total_seconds():.1f} s later" if late else ""
            overdue = "overdue" if each.due_at < now else ""
            remark = "; ".join(filter(None, (overdue, why, moved, jitter)))
            rows.append((*times.cells(each.nominal_at), remark))
        render.show_told("next times", (*times.headings, ""), rows, "no next time")


def zone_of(trigger: Trigger) -> tuple[str, tzinfo | None]:
    """The zone of its own in which a trigger's times are plain, with its name; else this machine's."""
    parts = trigger.triggers if isinstance(trigger, AnyOf) else (trigger,)
    names = {getattr(part, "tz", None) for part in parts}
    name = names.pop() if len(names) == 1 else None
    return ("local", None) if name is None else (name, get_zone(name).info)


async def _coming(schedules: ScheduleService, schedule_id: str, count: int) -> Coming | None:
    times = await schedules.next_times(schedule_id, count)
    schedule = await schedules.schedules.get(schedule_id)
    return None if times is None or schedule is None else Coming(times, schedule.trigger)


@app.command("next", epilog=examples("naq schedule next daily-report -n 5"))
def next_times(
    context: typer.Context, schedule_id: IdArgument, count: CountOption = DEFAULT_COUNT, as_json: JsonOption = False
) -> None:
    """The next nominal times in local time and UTC, with the reason for those that will not fire."""

    async def work(options: Options) -> Coming | None:
        async with service(options, ScheduleService) as schedules:
            return await _coming(schedules, schedule_id, count)

    coming = run(work(options_of(context)))
    if coming is None:
        raise absent(schedule_id, NO_SCHEDULE)
    if as_json:
        render.show_json(coming.forms())
    else:
        coming.show(SystemClock().now())


@app.command(
    epilog=examples("naq schedule explain '30 2 * * *' --tz Europe/Berlin", "naq schedule explain '0 9 L * *'")
)
def explain(
    cron: Annotated[str, typer.Argument(metavar="CRON", help="A cron expression.")],
    tz: Annotated[str, typer.Option("--tz", help="IANA zone.")] = "UTC",
    count: CountOption = DEFAULT_COUNT,
    as_json: JsonOption = False,
) -> None:
    """What a cron expression means, and its next times; a time that DST moved is marked. Asks no server."""
    now = SystemClock().now()
    trigger, _ = parse_schedule({"type": "cron", "cron": cron, "timezone": tz}, now)
    times: list[Upcoming] = []
    instant = trigger.next_after(now)
    while instant is not None and len(times) < count:
        times.append(Upcoming(instant, instant))
        instant = trigger.next_after(instant)
    coming = Coming(tuple(times), trigger)
    if as_json:
        render.show_json({"means": str(trigger), "next_times": coming.forms()})
    else:
        print(trigger)
        coming.show(SystemClock().now())
