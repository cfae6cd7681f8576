"""``naq schedule show, history``: when next, what happened the last times, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Any

import typer
from rich.text import Text

from naq.cli import render
from naq.cli.context import JsonOption, Options, absent, options_of
from naq.cli.preview import DEFAULT_COUNT, NO_SCHEDULE, Coming, CountOption, IdArgument, zone_of
from naq.cli.running import run, service, services
from naq.clock import SystemClock
from naq.events import Event, EventType
from naq.jobs.history import HistoryRecord
from naq.jobs.job import JobStatus
from naq.jobs.records import JobInfo
from naq.observe.diagnosis.jobs import Account, counted, failure, how_far, span
from naq.observe.diagnosis.schedules import OpenJob
from naq.observe.diagnosis.service import AccountService, ScheduleReport
from naq.schedules.occurrences import Occurrence
from naq.store.keys import kind_of_fire
from naq.store.nats.event_stream import EventService

__all__ = ["absent_schedule", "attempt_rows", "history", "show"]

COUNTERS = {
    "manual_runs": "by hand",
    "missed": "missed",
    "skipped": "skipped",
    "error_count": "failed",
}
SHOWN_RUNNING = 3
AS_ABOVE = "(as above)"
NO_HISTORY = "no history yet"


def show(context: typer.Context, schedule_id: IdArgument, as_json: JsonOption = False) -> None:
    """One schedule: when next, what happened the last 10 times, and why not."""
    report, near, removed = run(_report(options_of(context), schedule_id))
    if report is None and removed is not None:
        raise absent(schedule_id, _removed_text(removed))
    if report is None:
        raise absent_schedule(schedule_id, near)
    coming = None if report.schedule is None else Coming.of(report.coming, report.schedule.trigger)
    if as_json:
        render.show_json(_form(report, coming))
        return
    now = SystemClock().now()
    name, zone = ("local", None) if report.schedule is None else zone_of(report.schedule.trigger)
    render.show_fields(report.entry["schedule_id"], _fields(report, zone, now))
    if coming is not None and coming.times:
        coming.show(now)
    _show_times(report.past, report.open_jobs, DEFAULT_COUNT, name, zone, now)


async def _report(options: Options, schedule_id: str) -> tuple[ScheduleReport | None, str | None, Event | None]:
    """The report; if there is none the id that was probably meant, and the event of its removal."""
    async with services(options) as started:
        accounts = await started.get_service(AccountService)
        report = await accounts.schedule(schedule_id, back=DEFAULT_COUNT)
        if report is not None:
            return report, None, None
        events = await started.get_service(EventService)
        removals = await events.get_event_history(types=[EventType.SCHEDULE_DELETED], schedule_id=schedule_id, limit=1)
        return None, await accounts.near_schedule(schedule_id), removals[-1] if removals else None


def _removed_text(event: Event) -> str:
    """Who removed a schedule and when, out of its event."""
    why = f" ({event.reason})" if event.reason else ""
    return (
        f"it was removed by {event.actor or event.instance_id} at {render.local(event.timestamp)}{why}; "
        f"naq schedule history {event.schedule_id} shows its last times"
    )


def _form(report: ScheduleReport, coming: Coming | None) -> dict[str, Any]:
    return {
        **report.entry,
        "why": [account.to_dict() for account in report.accounts],
        "open_jobs": [{**each.info.to_dict(), "why": each.account.to_dict()} for each in report.open_jobs],
        "next_times": [] if coming is None else coming.forms(),
        "history": [each.to_dict() for each in report.past],
    }


def _fields(report: ScheduleReport, zone: tzinfo | None, now: datetime) -> list[tuple[str, Any]]:
    entry = report.entry
    counters = [
        counted(entry.get("runs", 0), "run"),
        *(f"{entry.get(name, 0)} {word}" for name, word in COUNTERS.items()),
    ]
    limit = entry.get("max_runs", -1)
    running = [each.account.found for each in report.open_jobs if each.account.remedy is None and each.info.started_at]
    if len(running) > SHOWN_RUNNING:
        running[SHOWN_RUNNING:] = [f"and {counted(len(running) - SHOWN_RUNNING, 'run')} more"]
    return [
        ("status", render.status(entry["status"])),
        *account_fields(report.accounts),
        ("now", render.Block("\n".join(running))),
        ("next run", _with_gap(entry.get("next_run_at"), zone, now)),
        ("last run", _last_run(report, zone, now)),
        ("when", entry.get("description")),
        ("job", _call(entry["job"]) if "job" in entry else None),
        ("created", None if entry["created_at"] is None else render.both_times(entry["created_at"], zone)),
        ("counted", ", ".join(counters) if report.schedule is not None else None),
        ("limit", f"{limit} runs" if limit != -1 else None),
        ("labels", ", ".join(f"{key}={value}" for key, value in entry.get("labels", {}).items())),
        ("note", entry.get("note")),
    ]


def account_fields(accounts: Iterable[Account]) -> list[tuple[str, Any]]:
    """What is to be said, each with what to do about it beneath."""
    return [pair for each in accounts for pair in (("why not", each.found), ("do", each.remedy))]


def _with_gap(instant: float | None, zone: tzinfo | None, now: datetime) -> Text:
    if instant is None:
        return Text("-")
    return Text(render.both_times(instant, zone) + "  ") + render.wait(instant, now)


def _last_run(report: ScheduleReport, zone: tzinfo | None, now: datetime) -> str | None:
    last = report.entry.get("last_run_at")
    if last is None:
        return "never" if report.schedule is not None else None
    fired = next((each for each in report.past if each.last.job_id is not None), None)
    open_ids = {each.info.job_id for each in report.open_jobs}
    ended = "" if fired is None or open_ids else f": {fired.last.outcome}"
    return f"{render.both_times(last, zone)}  {render.ago(last, now)}{ended}"


def _call(job: dict[str, Any]) -> str:
    """The job as a call, with its queue where that is a special one."""
    given = [repr(each) for each in job["args"]] + [f"{key}={value!r}" for key, value in job["kwargs"].items()]
    queue = "" if job["queue"] == "default" else f"  in queue {job['queue']}"
    return f"{job['func']}({', '.join(given)}){queue}"


def _show_times(
    past: Sequence[Occurrence],
    open_jobs: Sequence[OpenJob],
    count: int,
    name: str,
    zone: tzinfo | None,
    now: datetime,
) -> None:
    """The last ``count`` times, the newest first, those among them of which the run has not ended."""
    open_ids = {each.info.job_id for each in open_jobs}
    fired = {each.last.job_id: each.when for each in past if each.last.job_id is not None}
    begun = {each.info.job_id: fired.get(each.info.job_id) or _begun(each.info) for each in open_jobs}
    told = [each for each in past if each.last.job_id not in open_ids]
    instants = [*begun.values(), *(each.when for each in told)]
    times = render.TimeColumns.of((each for each in instants if each is not None), name, zone)
    rows = [
        (begun[each.info.job_id] or now, _open_row(each, begun[each.info.job_id], times, now)) for each in open_jobs
    ]
    rows += [
        (each.when, (*times.cells(each.when), *_cells(each.last, len(each.attempts)), _why(each, zone)))
        for each in told
    ]
    newest = [row for _, row in sorted(rows, key=lambda pair: pair[0], reverse=True)]
    headings = (*times.headings, "outcome", "took", "attempts", "why")
    render.show_told("last times", headings, _said_once(newest[:count]), NO_HISTORY)


def _begun(info: JobInfo) -> datetime | None:
    return info.nominal_at or info.enqueued_at


def _open_row(each: OpenJob, when: datetime | None, times: render.TimeColumns, now: datetime) -> tuple[str | Text, ...]:
    info = each.info
    shown = ("-",) * len(times.headings) if when is None else times.cells(when)
    took = "-" if info.started_at is None else span(now - info.started_at)
    if info.status is JobStatus.RUNNING and each.account.remedy is None:
        said = f"on {info.worker_id}" + (f", at {far}" if (far := how_far(info)) else "")
    else:
        said = each.account.found
    said = "; ".join(filter(None, (kind_of_fire(info.job_id), said)))
    return (*shown, render.status(str(info.status)), took, str(info.attempt), said)


def _said_once(rows: Sequence[tuple[str | Text, ...]]) -> list[tuple[str | Text, ...]]:
    """The rows with a long last cell written out only where it is another than in the row before."""
    told: list[tuple[str | Text, ...]] = []
    for number, row in enumerate(rows):
        repeated = number > 0 and row[-1] == rows[number - 1][-1] and len(str(row[-1])) > len(AS_ABOVE)
        told.append((*row[:-1], AS_ABOVE) if repeated else row)
    return told


def _cells(record: HistoryRecord, attempts: int) -> tuple[str | Text, ...]:
    """Outcome, duration and number of attempts."""
    count = f" x{record.count}" if record.count > 1 else ""
    took = "-" if record.duration is None else span(record.duration)
    tries = "-" if record.job_id is None else str(max(attempts, record.attempt))
    return render.status(str(record.outcome)) + count, took, tries


def _why(each: Occurrence, zone: tzinfo | None) -> str:
    record = each.last
    why = record.reason or (failure(record.error_type, record.error) if record.error_type else "")
    first = "" if record.count == 1 or record.nominal_at is None else f"since {render.local(record.nominal_at, zone)}"
    return "; ".join(filter(None, (each.kind, why, first)))


def attempt_rows(records: Iterable[HistoryRecord], times: render.TimeColumns) -> list[tuple[str | Text, ...]]:
    """The attempts of one job, one by one."""
    return [
        (
            str(record.attempt),
            *times.cells(record.started_at or record.at),
            *_cells(record, record.attempt)[:2],
            record.worker_id or "-",
            record.reason or (failure(record.error_type, record.error) if record.error_type else ""),
        )
        for record in records
    ]


def history(
    context: typer.Context, schedule_id: IdArgument, count: CountOption = DEFAULT_COUNT, as_json: JsonOption = False
) -> None:
    """What came of its nominal times, newest first, with those that did not fire; also of a removed schedule."""
    report, past, near = run(_history(options_of(context), schedule_id, count))
    if report is None and not past:
        raise absent_schedule(schedule_id, near)
    if as_json:
        render.show_json([each.to_dict() for each in past])
        return
    name, zone = ("local", None) if report is None or report.schedule is None else zone_of(report.schedule.trigger)
    _show_times(past, () if report is None else report.open_jobs, count, name, zone, SystemClock().now())


async def _history(
    options: Options, schedule_id: str, count: int
) -> tuple[ScheduleReport | None, tuple[Occurrence, ...], str | None]:
    async with service(options, AccountService) as accounts:
        report = await accounts.schedule(schedule_id, back=count)
        past = report.past if report is not None else await accounts.past(schedule_id, count)
        return report, past, None if report or past else await accounts.near_schedule(schedule_id)


def absent_schedule(schedule_id: str, near: str | None) -> typer.Exit:
    """Say that there is no such schedule, and which one was probably meant; to be raised."""
    hint = f"; did you mean {near!r}?" if near else "; naq schedule ls shows all"
    return absent(schedule_id, NO_SCHEDULE + hint)
