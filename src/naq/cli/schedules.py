"""``naq schedule ...``: schedules from the command line."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from naq.cli import render
from naq.cli.context import Options, options_of, run, service
from naq.clock import SystemClock
from naq.exceptions import InvalidInput, InvalidSchedule
from naq.history import HistoryRecord
from naq.job import Job
from naq.preview import Upcoming
from naq.services.base import ServiceManager
from naq.services.history import HistoryService
from naq.services.schedules import ScheduleService
from naq.specification import parse_schedule
from naq.timing.triggers import Trigger, dst_mark

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Create, look at and change schedules.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")]
DEFAULT_COUNT = 10


def actor() -> str:
    """Who asks, for the audit events."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def missing(schedule_id: str, what: str = "there is no such schedule") -> typer.Exit:
    """Say that a schedule is not there, or not in the right state: exit code 1."""
    typer.echo(f"{schedule_id}: {what}", err=True)
    return typer.Exit(1)


@app.command(
    epilog="Examples:  naq schedule add reports:send --cron '0 9 * * MON-FRI' --tz Europe/Berlin --id daily  |  "
    "naq schedule add reports:send --every 10s --args '[\"eu\"]'"
)
def add(
    context: typer.Context,
    func: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="The function that the job calls.")],
    every: Annotated[str | None, typer.Option(help="An interval: 10s, 5m, 1h30m.")] = None,
    cron: Annotated[str | None, typer.Option(help="A cron expression of 5 or 6 fields.")] = None,
    at: Annotated[str | None, typer.Option(help="Once, at this time (ISO).")] = None,
    tz: Annotated[str | None, typer.Option("--tz", help="IANA zone of --cron or --at.")] = None,
    schedule_id: Annotated[str | None, typer.Option("--id", help="The schedule's id.")] = None,
    args: Annotated[str, typer.Option(help="Positional arguments: a JSON array.")] = "[]",
    kwargs: Annotated[str, typer.Option(help="Keyword arguments: a JSON object.")] = "{}",
    queue: Annotated[str, typer.Option(help="The queue of its jobs.")] = "default",
    retries: Annotated[int, typer.Option(help="Attempts after the first.")] = 0,
    max_runs: Annotated[int | None, typer.Option(help="Fires after which it completes.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option("--set", help="Any other policy: overlap=skip, jitter=30s, catch_up=2h, ...")
    ] = None,
    if_exists: Annotated[str, typer.Option(help="raise, keep or replace.")] = "raise",
) -> None:
    """Create a schedule, and print its id."""
    form = {**_trigger_form(every, cron, at, tz), **_pairs(policy or [])}
    if max_runs is not None:
        form["max_runs"] = max_runs
    job = Job(func=func, args=_json(args, "--args"), kwargs=_json(kwargs, "--kwargs"), queue=queue, retries=retries)
    print(run(_add(options_of(context), job, form, schedule_id, if_exists)))


async def _add(options: Options, job: Job, form: dict[str, Any], schedule_id: str | None, if_exists: str) -> str:
    async with service(options, ScheduleService) as schedules:
        return await schedules.schedule_job(job, form, schedule_id=schedule_id, if_exists=if_exists, actor=actor())


def _trigger_form(every: str | None, cron: str | None, at: str | None, tz: str | None) -> dict[str, Any]:
    given = [
        {"type": "interval", "interval": every} if every is not None else None,
        {"type": "cron", "cron": cron} if cron is not None else None,
        {"type": "once", "run_at": at} if at is not None else None,
    ]
    chosen: list[dict[str, Any]] = [form for form in given if form is not None]
    if len(chosen) != 1:
        raise InvalidSchedule.of("schedule", [*chosen], "say when with one of --every, --cron, --at", "--every 10s")
    return {**chosen[0], "timezone": tz} if tz is not None else chosen[0]


def _pairs(policy: list[str]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for item in policy:
        name, equals, value = item.partition("=")
        if not equals:
            raise InvalidSchedule.of("--set", item, "is not NAME=VALUE", "overlap=skip")
        try:
            pairs[name] = json.loads(value)
        except ValueError:
            pairs[name] = value
    return pairs


def _json(text: str, field: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput.of(field, text, f"is not JSON ({error})", '["eu", 3]') from None


@app.command("ls", epilog="Examples:  naq schedule ls --status paused  |  naq schedule ls --json")
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
            render.status("quarantined" if "quarantined" in entry else entry["status"]),
            entry.get("description") or entry.get("reason", ""),
            _job_name(entry),
            render.ago(entry["next_run_at"], now),
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


@app.command(epilog="Example:  naq schedule show daily-report")
def show(context: typer.Context, schedule_id: IdArgument, as_json: JsonOption = False) -> None:
    """One schedule: when next, what happened the last 10 times, and why not."""
    entry, upcoming, records = run(_show(options_of(context), schedule_id, DEFAULT_COUNT))
    if entry is None:
        raise missing(schedule_id)
    if as_json:
        entry["next_times"] = [_upcoming_form(each) for each in upcoming]
        entry["history"] = [record.to_dict() for record in records]
        render.show_json(entry)
        return
    _show_entry(entry)
    _show_upcoming(upcoming, None)
    _show_history(records)


async def _show(
    options: Options, schedule_id: str, count: int
) -> tuple[dict[str, Any] | None, tuple[Upcoming, ...], list[HistoryRecord]]:
    async with ServiceManager(options.settings) as services:
        schedules = await services.get_service(ScheduleService)
        entry = await schedules.get_schedule(schedule_id)
        if entry is None or entry["status"] == "quarantined":
            return entry, (), []
        history = await services.get_service(HistoryService)
        upcoming = await schedules.next_times(schedule_id, count) or ()
        return entry, upcoming, await history.history(schedule_id, count)


def _show_entry(entry: dict[str, Any]) -> None:
    times = {name: render.both_times(entry.get(name)) for name in ("created_at", "next_run_at", "last_run_at")}
    counters = ", ".join(f"{entry.get(name, 0)} {name}" for name in ("runs", "manual_runs", "missed", "skipped"))
    limit = entry.get("max_runs", -1)
    render.show_fields(
        entry["schedule_id"],
        [
            ("status", render.status(entry["status"])),
            ("why", entry.get("reason") or entry.get("quarantined") or entry.get("pause_reason")),
            ("when", entry.get("description")),
            ("job", f"{_job_name(entry)} args={entry.get('job', {}).get('args')}" if "job" in entry else None),
            ("created", times["created_at"]),
            ("next run", times["next_run_at"]),
            ("last run", times["last_run_at"]),
            ("counted", f"{counters}, {entry.get('error_count', 0)} failed"),
            ("limit", f"{limit} runs" if limit != -1 else None),
            ("open runs", ", ".join(entry.get("open_runs", []))),
            ("labels", entry.get("labels")),
            ("note", entry.get("note")),
        ],
    )


def _upcoming_form(each: Upcoming) -> dict[str, Any]:
    return {
        "nominal_at": each.nominal_at.timestamp(),
        "due_at": each.due_at.timestamp(),
        "reason": None if each.reason is None else str(each.reason),
    }


def _show_upcoming(upcoming: tuple[Upcoming, ...], trigger: Trigger | None) -> None:
    rows = []
    for each in upcoming:
        why = "" if each.reason is None else f"will not fire: {each.reason}"
        mark = dst_mark(trigger, each.nominal_at) if trigger is not None else None
        moved = "" if mark is None else f"DST: {mark}"
        late = each.due_at - each.nominal_at
        jitter = f"due {late.total_seconds():.1f} s later" if late else ""
        rows.append(
            (render.local(each.nominal_at), _utc(each.nominal_at), "; ".join(filter(None, (why, moved, jitter))))
        )
    render.show_table("next times", ("local", "UTC", ""), rows, "no next time")


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _show_history(records: list[HistoryRecord]) -> None:
    rows = []
    for record in records:
        took = "-" if record.duration is None else f"{record.duration.total_seconds():.3f} s"
        outcome = Text(str(record.outcome), style=render.STATUS_STYLES.get(str(record.outcome), ""))
        count = f" x{record.count}" if record.count > 1 else ""
        why = record.reason or (f"{record.error_type}: {record.error}" if record.error_type else "")
        rows.append((render.local(record.nominal_at or record.at), outcome + count, took, str(record.attempt), why))
    render.show_table("last times", ("nominal time", "outcome", "took", "attempt", "why"), rows, "no history yet")


@app.command(epilog="Example:  naq schedule history daily-report -n 50 --json")
def history(
    context: typer.Context, schedule_id: IdArgument, count: CountOption = DEFAULT_COUNT, as_json: JsonOption = False
) -> None:
    """What became of its nominal times, newest first, those that did not fire among them."""
    entry, _, records = run(_show(options_of(context), schedule_id, count))
    if entry is None:
        raise missing(schedule_id)
    if as_json:
        render.show_json([record.to_dict() for record in records])
    else:
        _show_history(records)


@app.command("next", epilog="Example:  naq schedule next daily-report -n 5")
def next_times(
    context: typer.Context, schedule_id: IdArgument, count: CountOption = DEFAULT_COUNT, as_json: JsonOption = False
) -> None:
    """The next nominal times in local time and UTC, with the reason for those that will not fire."""
    found = run(_next(options_of(context), schedule_id, count))
    if found is None:
        raise missing(schedule_id)
    upcoming, trigger = found
    if as_json:
        render.show_json([_upcoming_form(each) for each in upcoming])
    else:
        _show_upcoming(upcoming, trigger)


async def _next(options: Options, schedule_id: str, count: int) -> tuple[tuple[Upcoming, ...], Trigger] | None:
    async with service(options, ScheduleService) as schedules:
        upcoming = await schedules.next_times(schedule_id, count)
        schedule = await schedules.schedules.get(schedule_id)
        return None if upcoming is None or schedule is None else (upcoming, schedule.trigger)


@app.command(epilog="Example:  naq schedule explain '30 2 * * *' --tz Europe/Berlin")
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
    if as_json:
        forms = [{**_upcoming_form(each), "dst": dst_mark(trigger, each.nominal_at)} for each in times]
        render.show_json({"means": str(trigger), "next_times": forms})
        return
    print(str(trigger))
    _show_upcoming(tuple(times), trigger)


@app.command(epilog="Example:  naq schedule pause daily-report --reason 'data centre moves'")
def pause(
    context: typer.Context,
    schedule_id: IdArgument,
    reason: Annotated[str | None, typer.Option(help="Why; shown to whoever looks.")] = None,
) -> None:
    """Stop a schedule from firing. Once this returns, no fire of it follows."""
    _changed(context, schedule_id, "is not active", "paused", "pause_scheduled_job", reason=reason)


@app.command(epilog="Example:  naq schedule resume daily-report --catch-up")
def resume(
    context: typer.Context,
    schedule_id: IdArgument,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Fire what was due meanwhile, as its policy says.")
    ] = False,
) -> None:
    """Let a paused schedule fire again, from now on."""
    _changed(context, schedule_id, "is not paused", "resumed", "resume_scheduled_job", catch_up=catch_up)


@app.command(epilog="Example:  naq schedule cancel daily-report")
def cancel(context: typer.Context, schedule_id: IdArgument) -> None:
    """End a schedule for good; its record stays."""
    _changed(context, schedule_id, "there is no such schedule", "cancelled", "cancel_scheduled_job")


@app.command("rm", epilog="Example:  naq schedule rm daily-report")
def remove(context: typer.Context, schedule_id: IdArgument) -> None:
    """Remove a schedule and its record, a quarantined one too."""
    _changed(context, schedule_id, "there is no such schedule", "removed", "delete_schedule")


@app.command(epilog="Example:  naq schedule skip daily-report 2")
def skip(
    context: typer.Context,
    schedule_id: IdArgument,
    count: Annotated[int, typer.Argument(help="How many of the next times; 0 takes it back.")] = 1,
) -> None:
    """Let the next times pass without a fire."""
    _changed(context, schedule_id, "there is no such schedule, or it has ended", "will skip", "skip_next", count=count)


@app.command(
    epilog="Example:  naq schedule update daily-report --set max_runs=10 --set overlap=skip --cron '0 8 * * *'"
)
def update(
    context: typer.Context,
    schedule_id: IdArgument,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE: any policy, note, next_run_at.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="A new interval.")] = None,
    cron: Annotated[str | None, typer.Option(help="A new cron expression.")] = None,
    at: Annotated[str | None, typer.Option(help="A new time.")] = None,
    tz: Annotated[str | None, typer.Option("--tz", help="IANA zone of --cron or --at.")] = None,
) -> None:
    """Change a schedule in place; history and counters stay."""
    changes = _pairs(settings or [])
    if every is not None or cron is not None or at is not None:
        changes["schedule"] = _trigger_form(every, cron, at, tz)
    _changed(
        context, schedule_id, "there is no such schedule, or it is cancelled", "updated", "update_schedule", **changes
    )


def _changed(context: typer.Context, schedule_id: str, otherwise: str, done: str, method: str, **options: Any) -> None:
    async def change() -> bool:
        async with service(options_of(context), ScheduleService) as schedules:
            return bool(await getattr(schedules, method)(schedule_id, actor=actor(), **options))

    if not run(change()):
        raise missing(schedule_id, otherwise)
    print(f"{schedule_id}: {done}")


@app.command(epilog="Example:  naq schedule trigger daily-report")
def trigger(context: typer.Context, schedule_id: IdArgument) -> None:
    """Enqueue one job of it now, beside its plan, and print the job's id."""

    async def work() -> str | None:
        async with service(options_of(context), ScheduleService) as schedules:
            return await schedules.trigger_schedule(schedule_id, actor=actor())

    job_id = run(work())
    if job_id is None:
        raise missing(schedule_id, "there is no such schedule, or it is cancelled")
    print(job_id)


@app.command(epilog="Example:  naq schedule backfill daily-report 2026-01-01 2026-01-31T23:59:59Z")
def backfill(
    context: typer.Context,
    schedule_id: IdArgument,
    first: Annotated[str, typer.Argument(help="Begin of the range (ISO; UTC unless it says otherwise), inclusive.")],
    last: Annotated[str, typer.Argument(help="End of the range, inclusive.")],
    one_by_one: Annotated[bool, typer.Option("--one-by-one", help="Each when the one before has ended.")] = False,
) -> None:
    """Enqueue its nominal times of a past range, and print the backfill's id."""

    async def work() -> str | None:
        async with service(options_of(context), ScheduleService) as schedules:
            overlap = "buffer_all" if one_by_one else "allow_all"
            return await schedules.backfill_schedule(schedule_id, first, last, overlap=overlap, actor=actor())

    backfill_id = run(work())
    if backfill_id is None:
        raise missing(schedule_id, "there is no such schedule, or it has ended")
    print(backfill_id)
