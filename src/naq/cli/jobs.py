"""``naq job ...`` and ``naq workers``: enqueue jobs, look at them, change them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from naq.cli.asking import ask_jobs
from naq.cli.context import JsonOption, Options, absent, options_of
from naq.cli.forms import arguments
from naq.cli.say import say
from naq.exceptions import InvalidInput

if TYPE_CHECKING:
    from naq.jobs.records import DeadJob, JobInfo, WorkerInfo
    from naq.observe.diagnosis.service import JobReport

__all__ = ["add", "cancel", "dead", "ls", "purge", "requeue", "show", "workers"]

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
QueueOption = Annotated[str | None, typer.Option("--queue", help="Only of this queue.")]
ScheduleOption = Annotated[str | None, typer.Option("--schedule", help="Only of this schedule.")]
ExpiresOption = Annotated[
    str | None, typer.Option("--expires", help="It must start so soon, or does not run: 30s, 5m.")
]
UniqueForOption = Annotated[
    str | None,
    typer.Option("--unique-for", help="None while an equal one is there, and so long after its end: 0, 1h."),
]
UniqueKeyOption = Annotated[
    str | None, typer.Option("--unique-key", help="What is equal (default: all arguments); {NAME} is an argument.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")]


def add(
    context: typer.Context,
    func: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="The function that the job calls.")],
    arg: Annotated[
        list[str] | None, typer.Option("--arg", help="One argument: JSON, or else text. May be repeated.")
    ] = None,
    args: Annotated[str | None, typer.Option("--args", help="All positional arguments: a JSON array.")] = None,
    kwargs: Annotated[str | None, typer.Option("--kwargs", help="Keyword arguments: a JSON object.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Not before this time (ISO; UTC unless it says otherwise).")
    ] = None,
    delay: Annotated[str | None, typer.Option("--in", help="After this delay: 30s, 5m.")] = None,
    job_id: Annotated[str | None, typer.Option("--id", help="The job's id.")] = None,
    queue: Annotated[str, typer.Option(help="Its queue.")] = "default",
    retries: Annotated[int, typer.Option(help="Attempts after the first.")] = 0,
    expires: ExpiresOption = None,
    unique_for: UniqueForOption = None,
    unique_key: UniqueKeyOption = None,
) -> None:
    """Enqueue a job, and print its id."""
    from naq.jobs.job import Job

    positional, keyword = arguments(arg or [], args, kwargs)
    job = Job(
        func=func,
        args=positional,
        kwargs=keyword,
        job_id=job_id,
        queue=queue,
        retries=retries,
        expires=expires,
        unique_for=unique_for,
        unique_key=unique_key,
    )
    say(ask_jobs(context, lambda jobs: jobs.enqueue(job, at=at, delay=delay), makes=True))


def ls(
    context: typer.Context,
    status: Annotated[
        list[str] | None, typer.Option("--status", help="queued, running, deferred, completed, failed, ...")
    ] = None,
    queue: QueueOption = None,
    schedule: ScheduleOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List jobs, those enqueued last first. Finished ones are there while their results are kept."""
    from naq.cli import render
    from naq.clock import SystemClock
    from naq.observe.diagnosis.jobs import span

    found = ask_jobs(
        context, lambda jobs: jobs.list_jobs(status=status or None, queue=queue, schedule_id=schedule, limit=limit)
    )
    if as_json:
        render.show_json([info.to_dict() for info in found])
        return
    now = SystemClock().now()
    rows = (
        (
            info.job_id,
            render.status(str(info.status)),
            str(info.attempt),
            render.ago(info.enqueued_at, now),
            "-" if info.duration is None else span(info.duration),
            info.queue,
            info.func,
        )
        for info in found
    )
    headings = ("id", "status", "attempt", "enqueued", "took", "queue", "function")
    render.show_told("", headings, rows, "there are no such jobs", below=2)


def show(context: typer.Context, job_id: IdArgument, as_json: JsonOption = False) -> None:
    """One job: where it is in its life and why it is not further, what it returned, or why it failed."""
    from naq.cli import render
    from naq.cli.running import run
    from naq.cli.schedule_history import attempt_rows
    from naq.clock import SystemClock
    from naq.store.keys import schedule_id_of

    report, near = run(_report(options_of(context), job_id))
    if report is None:
        schedule_id = schedule_id_of(job_id)
        hint = f"; naq schedule history {schedule_id} tells what became of its runs" if schedule_id else ""
        hint = f"; did you mean {near!r}?" if near else hint
        raise absent(job_id, f"there is no such job, or its result is no longer kept{hint}")
    if as_json:
        form = {"job_id": job_id} if report.info is None else report.info.to_dict()
        attempts = [record.to_dict() for record in report.attempts]
        render.show_json({**form, "why": report.account.to_dict(), "attempts": attempts})
        return
    said = [("so far", report.account.found), ("do", report.account.remedy)]
    known = [] if report.info is None else _fields(report.info, SystemClock().now())
    render.show_fields(job_id, [*known[:1], *said, *known[1:]])
    if report.attempts:
        times = render.TimeColumns.of(record.started_at or record.at for record in report.attempts)
        headings = ("attempt", *times.headings, "outcome", "took", "worker", "why")
        render.show_told("attempts", headings, attempt_rows(report.attempts, times), "")


async def _report(options: Options, job_id: str) -> tuple[JobReport | None, str | None]:
    """The report, and if there is none the id that was probably meant."""
    from naq.cli.running import service
    from naq.observe.diagnosis.service import AccountService

    async with service(options, AccountService) as accounts:
        report = await accounts.job(job_id)
        return report, await accounts.near_job(job_id) if report is None else None


def _fields(info: JobInfo, now: datetime) -> list[tuple[str, Any]]:
    from naq.cli import render
    from naq.observe.diagnosis.jobs import attempt_text, failure, how_far, span

    failed_with = None if info.error_type is None else failure(info.error_type, info.error)
    return [
        ("status", render.status(str(info.status))),
        ("function", info.func),
        ("queue", info.queue),
        ("attempt", attempt_text(info).removeprefix("attempt ")),
        ("schedule", info.schedule_id),
        ("nominal time", _time(info.nominal_at, now)),
        ("enqueued", _time(info.enqueued_at, now)),
        ("due", _time(info.due_at, now)),
        ("start by", _time(info.start_by, now)),
        ("started", _time(info.started_at, now)),
        ("ended", _time(info.ended_at, now)),
        ("took", None if info.duration is None else span(info.duration)),
        ("worker", info.worker_id),
        ("waits for", ", ".join(info.depends_on)),
        ("progress", how_far(info)),
        ("returned", info.value),
        ("failed with", failed_with),
        ("traceback", render.Block(info.traceback or "")),
        *((f"log, attempt {each.attempt}", render.Block(each.log)) for each in info.logs),
        (f"log, attempt {info.attempt}" if info.logs else "log", render.Block(info.log or "")),
    ]


def _time(instant: datetime | None, now: datetime) -> str | None:
    from naq.cli import render

    return None if instant is None else f"{render.both_times(instant)}  {render.ago(instant, now)}"


def requeue(
    context: typer.Context,
    job_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The dead job's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead jobs that match.")] = False,
    queue: QueueOption = None,
    schedule: ScheduleOption = None,
) -> None:
    """Queue a dead job again, or all that match."""
    if (job_id is None) != everything:
        raise InvalidInput.of("ID", job_id, "give one id, or --all", "report-1")
    if everything:
        count = ask_jobs(context, lambda jobs: jobs.requeue_all(queue=queue, schedule_id=schedule))
        say(f"{count} queued again")
        return
    wanted = job_id or ""
    if not ask_jobs(context, lambda jobs: jobs.requeue(wanted)):
        raise absent(wanted, "there is no such dead job")
    say(f"{wanted}: queued again")


def dead(
    context: typer.Context,
    queue: QueueOption = None,
    schedule: ScheduleOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, newest first."""
    from naq.cli import render
    from naq.observe.diagnosis.jobs import failure

    found: list[DeadJob] = ask_jobs(
        context, lambda jobs: jobs.list_dead(queue=queue, schedule_id=schedule, limit=limit)
    )
    if as_json:
        render.show_json([_dead_form(each) for each in found])
        return
    rows = (
        (each.job_id, str(each.reason), render.local(each.died_at), failure(each.error_type, each.error))
        for each in found
    )
    render.show_told("", ("id", "why", "when", "error"), rows, "there are no dead letters")


def _dead_form(each: DeadJob) -> dict[str, Any]:
    return {
        "job_id": each.job_id,
        "reason": str(each.reason),
        "died_at": each.died_at.timestamp(),
        "error_type": each.error_type,
        "error": each.error,
    }


def purge(
    context: typer.Context,
    older_than: Annotated[str, typer.Option("--older-than", help="Age: 12h, 30d.")] = "30d",
) -> None:
    """Remove dead letters that are older than an age."""
    from naq.timing.duration import parse_duration

    age = parse_duration(older_than, "--older-than", positive=False)
    say(f"{ask_jobs(context, lambda jobs: jobs.purge_dead(older_than=age))} removed")


def cancel(
    context: typer.Context,
    job_id: IdArgument,
    reason: Annotated[str | None, typer.Option(help="Why; kept with its result.")] = None,
) -> None:
    """Cancel a job: a waiting one is removed, a running one is asked to stop."""
    if not ask_jobs(context, lambda jobs: jobs.cancel(job_id, reason=reason)):
        raise absent(job_id, "there is no such job, or it has ended")
    say(f"{job_id}: cancelled")


def workers(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the workers that are alive."""
    from naq.cli import render
    from naq.clock import SystemClock

    found: list[WorkerInfo] = ask_jobs(context, lambda jobs: jobs.list_workers())
    if as_json:
        render.show_json([_worker_form(each) for each in found])
        return
    now = SystemClock().now()
    rows = (
        (
            each.worker_id,
            f"{each.host} {each.pid}",
            ", ".join(each.queues),
            f"{each.running_count}/{each.concurrency}",
            f"{each.finished} ({each.failed} failed)",
            render.ago(each.started_at, now),
            _trouble(each),
        )
        for each in found
    )
    headings = ("worker", "host, pid", "queues", "running", "finished", "started", "")
    render.show_table("", headings, rows, "there are no workers")


def _trouble(each: WorkerInfo) -> str:
    found = []
    if each.draining:
        found.append("draining")
    if each.stuck:
        found.append(f"{each.stuck} stuck")
    if each.blocked_for:
        found.append(f"event loop blocked for {each.blocked_for:.0f} s")
    return ", ".join(found)


def _worker_form(each: WorkerInfo) -> dict[str, Any]:
    form = {name: getattr(each, name) for name in each.__struct_fields__ if name != "v"}
    return {**form, "started_at": each.started_at.timestamp(), "seen_at": each.seen_at.timestamp()}
