"""``naq job ...``, ``naq queue ...`` and ``naq workers``: what became of the fires."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer

from naq.cli import render
from naq.cli.context import FAILED, JsonOption, Options, absent, examples, options_of, run, service
from naq.cli.schedule_history import attempt_rows
from naq.clock import SystemClock
from naq.exceptions import InvalidInput
from naq.jobs.records import DeadJob, JobInfo, WorkerInfo
from naq.lifecycle import ServiceManager
from naq.observe.diagnosis.jobs import attempt_text, failure, how_far, span
from naq.observe.diagnosis.service import AccountService, JobReport
from naq.queue.service import JobService
from naq.store.codec import plain_form
from naq.store.keys import schedule_id_of
from naq.timing.duration import parse_duration

__all__ = ["app", "queues", "workers"]

app = typer.Typer(no_args_is_help=True, help="Look at jobs, retry and cancel them.")
queues = typer.Typer(no_args_is_help=True, help="Look at queues and empty them.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
QueueOption = Annotated[str | None, typer.Option("--queue", help="Only of this queue.")]
ScheduleOption = Annotated[str | None, typer.Option("--schedule", help="Only of this schedule.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")]

T = TypeVar("T")


def ask(context: typer.Context, question: Callable[[JobService], Awaitable[T]]) -> T:
    """Ask the job service one thing."""

    async def work(options: Options) -> T:
        async with service(options, JobService) as jobs:
            return await question(jobs)

    return run(work(options_of(context)))


@app.command("ls", epilog=examples("naq job ls --status failed", "naq job ls --queue mail --json"))
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
    """List jobs, those enqueued last first. Finished ones are there as long as their results are kept."""
    found = ask(
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


@app.command(epilog=examples("naq job show daily-report/20261124T080000Z"))
def show(context: typer.Context, job_id: IdArgument, as_json: JsonOption = False) -> None:
    """One job: where it is in its life and why it is not further, what it returned, or why it failed."""
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
    async with ServiceManager(options.settings) as services:
        accounts = await services.get_service(AccountService)
        report = await accounts.job(job_id)
        return report, await accounts.near_job(job_id) if report is None else None


def _fields(info: JobInfo, now: datetime) -> list[tuple[str, Any]]:
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
        ("started", _time(info.started_at, now)),
        ("ended", _time(info.ended_at, now)),
        ("took", None if info.duration is None else span(info.duration)),
        ("worker", info.worker_id),
        ("waits for", ", ".join(info.depends_on)),
        ("progress", how_far(info)),
        ("returned", info.value),
        ("failed with", failed_with),
        ("traceback", (info.traceback or "").rstrip()),
    ]


def _time(instant: datetime | None, now: datetime) -> str | None:
    return None if instant is None else f"{render.both_times(instant)}  {render.ago(instant, now)}"


@app.command(epilog=examples("naq job retry report-1", "naq job retry --all --queue mail"))
def retry(
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
        count = ask(context, lambda jobs: jobs.requeue_all(queue=queue, schedule_id=schedule))
        print(f"{count} queued again")
        return
    wanted = job_id or ""
    if not ask(context, lambda jobs: jobs.requeue(wanted)):
        raise absent(wanted, "is no dead job")
    print(f"{wanted}: queued again")


@app.command(epilog=examples("naq job dead --queue mail"))
def dead(
    context: typer.Context,
    queue: QueueOption = None,
    schedule: ScheduleOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, newest first."""
    found: list[DeadJob] = ask(context, lambda jobs: jobs.list_dead(queue=queue, schedule_id=schedule, limit=limit))
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


@app.command(epilog=examples("naq job purge --older-than 30d"))
def purge(
    context: typer.Context,
    older_than: Annotated[str, typer.Option("--older-than", help="Age: 12h, 30d.")] = "30d",
) -> None:
    """Remove dead letters that are older than an age."""
    age = parse_duration(older_than, "--older-than", positive=False)
    print(f"{ask(context, lambda jobs: jobs.purge_dead(older_than=age))} removed")


@app.command(epilog=examples("naq job cancel report-1 --reason 'wrong month'"))
def cancel(
    context: typer.Context,
    job_id: IdArgument,
    reason: Annotated[str | None, typer.Option(help="Why; kept with its result.")] = None,
) -> None:
    """Cancel a job: a waiting one is removed, a running one is asked to stop."""
    if not ask(context, lambda jobs: jobs.cancel(job_id, reason=reason)):
        raise absent(job_id, "there is no such job, or it has ended")
    print(f"{job_id}: cancelled")


@queues.command("purge", epilog=examples("naq queue purge mail --yes"))
def purge_queue(
    context: typer.Context,
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="The queue.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove all waiting jobs of a queue."""
    if not yes:
        question = f"Remove all waiting jobs of {queue!r}?"
        if not sys.stdin.isatty():
            raise typer.BadParameter("nobody can be asked here, so it has to be given", param_hint="--yes")
        if not typer.confirm(question):
            raise typer.Exit(FAILED)
    print(f"{ask(context, lambda jobs: jobs.purge_queue(queue))} removed")


@queues.command("show", epilog=examples("naq queue show mail"))
def show_queue(
    context: typer.Context,
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="The queue.")],
    as_json: JsonOption = False,
) -> None:
    """How many jobs wait and run in a queue."""
    info = ask(context, lambda jobs: jobs.queue_info(queue))
    if as_json:
        render.show_json(plain_form(info))
        return
    limits = info.limits
    render.show_fields(
        queue,
        [
            ("waiting", info.waiting),
            ("in hand", info.in_hand),
            ("workers", info.workers),
            ("at once", limits.max_concurrent),
            ("rate", None if limits.rate is None else f"{limits.rate:g} starts a second"),
            ("paused", "yes: nothing is handed out" if limits.paused else None),
        ],
    )


@queues.command(
    "limit", epilog=examples("naq queue limit mail --max-concurrent 5 --rate 2", "naq queue limit mail --pause")
)
def limit_queue(
    context: typer.Context,
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="The queue.")],
    max_concurrent: Annotated[int | None, typer.Option("--max-concurrent", help="Jobs at once; 0: no limit.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Starts a second; 0: no limit.")] = None,
    pause: Annotated[
        bool | None,
        typer.Option("--pause/--resume", help="Hand nothing of it to any worker, or go on.", show_default=False),
    ] = None,
) -> None:
    """Set the limits of a queue for all workers; those that are not given stay."""

    async def change(jobs: JobService) -> None:
        known = await jobs.queues.limits(queue)
        await jobs.set_queue_limits(
            queue,
            max_concurrent=known.max_concurrent if max_concurrent is None else max_concurrent or None,
            rate=known.rate if rate is None else rate or None,
            paused=known.paused if pause is None else pause,
        )

    ask(context, change)
    print(f"{queue}: limits set")


def workers(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the workers that are alive."""
    found: list[WorkerInfo] = ask(context, lambda jobs: jobs.list_workers())
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
