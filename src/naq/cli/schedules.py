"""``naq schedule add, ls, show, history, next, explain``: schedules made and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from naq.cli import render
from naq.cli.context import JsonOption, Options, absent, actor, examples, options_of, run, service
from naq.cli.forms import arguments, pairs, trigger_form
from naq.clock import SystemClock
from naq.history import HistoryRecord
from naq.job import Job
from naq.preview import Upcoming
from naq.services.base import ServiceManager
from naq.services.history import HistoryService
from naq.services.schedules import ScheduleService
from naq.specification import parse_schedule
from naq.timing.triggers import Trigger, dst_mark
from naq.timing.zones import get_zone

__all__ = ["NO_SCHEDULE", "IdArgument", "app"]

app = typer.Typer(no_args_is_help=True, help="Create, look at and change schedules.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")]
DEFAULT_COUNT = 10
NO_SCHEDULE = "there is no such schedule"
QUARANTINED = "quarantined"
SHOWN_AHEAD = 5
COUNTERS = {
    "runs": "runs",
    "manual_runs": "by hand",
    "missed": "missed",
    "skipped": "skipped",
    "error_count": "failed",
}


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
    found = run(_ls(options_of(context), status))
    if as_json:
        render.show_json(found)
        return
    now = SystemClock().now()
    rows = (
        (
            entry["schedule_id"],
            render.status(QUARANTINED if QUARANTINED in entry else entry["status"]),
            entry.get("description") or entry.get("reason", ""),
            _job_name(entry),
            render.wait(entry["next_run_at"], now),
            render.ago(entry.get("last_run_at"), now),
            str(entry.get("runs", "-")),
        )
        for entry in found
    )
    headings = ("id", "status", "when", "job", "next run", "last run", "runs")
    render.show_table("", headings, rows, "there are no schedules" if status is None else f"none is {status}")


def _job_name(entry: dict[str, Any]) -> str:
    return str(entry["job"]["func"]) if "job" in entry else "-"


async def _ls(options: Options, status: str | None) -> list[dict[str, Any]]:
    async with service(options, ScheduleService) as schedules:
        return await schedules.list_schedules(status)


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

    def show(self) -> None:
        """In the schedule's own zone, where it has one: that is where its times are plain."""
        name = getattr(self.trigger, "tz", None)
        zone = get_zone(name).info if name else None
        rows = []
        for each in self.times:
            why = "" if each.reason is None else f"will not fire: {each.reason}"
            moved = f"DST: {mark}" if (mark := self.mark(each)) else ""
            late = each.due_at - each.nominal_at
            jitter = f"due {late.total_seconds():.1f} s later" if late else ""
            remark = "; ".join(filter(None, (why, moved, jitter)))
            rows.append((render.local(each.nominal_at, zone), render.utc(each.nominal_at), remark))
        render.show_table("next times", (name or "local", "UTC", ""), rows, "no next time")


@app.command(epilog=examples("naq schedule show daily-report", "naq schedule show daily-report --json"))
def show(context: typer.Context, schedule_id: IdArgument, as_json: JsonOption = False) -> None:
    """One schedule: when next, what happened the last 10 times, and why not."""
    entry, coming, records = run(_show(options_of(context), schedule_id))
    if entry is None:
        raise absent(schedule_id, NO_SCHEDULE)
    if as_json:
        entry["next_times"] = [] if coming is None else coming.forms()
        entry["history"] = [record.to_dict() for record in records]
        render.show_json(entry)
        return
    _show_entry(entry)
    if coming is not None:
        coming.show()
    _show_history(records)


async def _show(options: Options, schedule_id: str) -> tuple[dict[str, Any] | None, Coming | None, list[HistoryRecord]]:
    async with ServiceManager(options.settings) as services:
        schedules = await services.get_service(ScheduleService)
        entry = await schedules.get_schedule(schedule_id)
        if entry is None:
            return None, None, []
        history = await services.get_service(HistoryService)
        records = await history.history(schedule_id, DEFAULT_COUNT)
        readable = entry["status"] != QUARANTINED
        return entry, await _coming(schedules, schedule_id, SHOWN_AHEAD) if readable else None, records


async def _coming(schedules: ScheduleService, schedule_id: str, count: int) -> Coming | None:
    times = await schedules.next_times(schedule_id, count)
    schedule = await schedules.schedules.get(schedule_id)
    return None if times is None or schedule is None else Coming(times, schedule.trigger)


def _show_entry(entry: dict[str, Any]) -> None:
    times = {name: render.both_times(entry.get(name)) for name in ("created_at", "next_run_at", "last_run_at")}
    counters = ", ".join(f"{entry.get(name, 0)} {word}" for name, word in COUNTERS.items())
    limit = entry.get("max_runs", -1)
    render.show_fields(
        entry["schedule_id"],
        [
            ("status", render.status(entry["status"])),
            ("why", entry.get("reason") or entry.get(QUARANTINED) or entry.get("pause_reason")),
            ("when", entry.get("description")),
            ("job", f"{_job_name(entry)} args={entry.get('job', {}).get('args')}" if "job" in entry else None),
            ("created", times["created_at"]),
            ("next run", times["next_run_at"]),
            ("last run", times["last_run_at"]),
            ("counted", counters),
            ("limit", f"{limit} runs" if limit != -1 else None),
            ("open runs", ", ".join(entry.get("open_runs", []))),
            ("labels", entry.get("labels")),
            ("note", entry.get("note")),
        ],
    )


def _show_history(records: list[HistoryRecord]) -> None:
    rows = []
    for record in records:
        took = "-" if record.duration is None else f"{record.duration.total_seconds():.3f} s"
        outcome = Text(str(record.outcome), style=render.STATUS_STYLES.get(str(record.outcome), ""))
        count = f" x{record.count}" if record.count > 1 else ""
        why = record.reason or (f"{record.error_type}: {record.error}" if record.error_type else "")
        when = record.nominal_at or record.at
        rows.append((render.local(when), render.utc(when), outcome + count, took, str(record.attempt), why))
    headings = ("local", "UTC", "outcome", "took", "attempt", "why")
    render.show_table("last times", headings, rows, "no history yet")


@app.command(epilog=examples("naq schedule history daily-report", "naq schedule history daily-report -n 50 --json"))
def history(
    context: typer.Context, schedule_id: IdArgument, count: CountOption = DEFAULT_COUNT, as_json: JsonOption = False
) -> None:
    """What became of its nominal times, newest first, those that did not fire among them."""
    records = run(_history(options_of(context), schedule_id, count))
    if records is None:
        raise absent(schedule_id, NO_SCHEDULE)
    if as_json:
        render.show_json([record.to_dict() for record in records])
    else:
        _show_history(records)


async def _history(options: Options, schedule_id: str, count: int) -> list[HistoryRecord] | None:
    """Also of a schedule that was removed, as long as it is kept."""
    async with ServiceManager(options.settings) as services:
        records = await (await services.get_service(HistoryService)).history(schedule_id, count)
        schedules = await services.get_service(ScheduleService)
        return records if records or await schedules.get_schedule(schedule_id) is not None else None


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
        coming.show()


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
        coming.show()
