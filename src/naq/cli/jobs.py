"""``naq job ...``, ``naq queue ...`` and ``naq workers``: what became of the fires."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from naq.cli import render
from naq.cli.context import FAILED, JsonOption, Options, absent, examples, options_of, run, service
from naq.clock import SystemClock
from naq.exceptions import InvalidInput
from naq.job_records import DeadJob, JobInfo, WorkerInfo
from naq.services.jobs import JobService
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
            info.func,
            info.queue,
            str(info.attempt),
            render.ago(info.enqueued_at, now),
            "-" if info.duration is None else f"{info.duration.total_seconds():.3f} s",
        )
        for info in found
    )
    headings = ("id", "status", "function", "queue", "attempt", "enqueued", "took")
    render.show_table("", headings, rows, "there are no such jobs")


@app.command(epilog=examples("naq job show daily-report/20261124T080000Z"))
def show(context: typer.Context, job_id: IdArgument, as_json: JsonOption = False) -> None:
    """One job: where it is in its life, what it returned, or why it failed."""
    info = ask(context, lambda jobs: jobs.get(job_id))
    if info is None:
        raise absent(job_id, "there is no such job, or its result is no longer kept")
    if as_json:
        render.show_json(info.to_dict())
        return
    render.show_fields(info.job_id, _fields(info))


def _fields(info: JobInfo) -> list[tuple[str, Any]]:
    failure = f"{info.error_type}: {info.error}" if info.error_type else info.error
    return [
        ("status", render.status(str(info.status))),
        ("why", info.reason),
        ("function", info.func),
        ("queue", info.queue),
        ("attempt", f"{info.attempt} of {1 + info.retries}"),
        ("schedule", info.schedule_id),
        ("nominal time", None if info.nominal_at is None else render.both_times(info.nominal_at)),
        ("enqueued", None if info.enqueued_at is None else render.both_times(info.enqueued_at)),
        ("due", None if info.due_at is None else render.both_times(info.due_at)),
        ("started", None if info.started_at is None else render.both_times(info.started_at)),
        ("ended", None if info.ended_at is None else render.both_times(info.ended_at)),
        ("took", None if info.duration is None else f"{info.duration.total_seconds():.3f} s"),
        ("worker", info.worker_id),
        ("waits for", ", ".join(info.depends_on)),
        ("progress", info.progress),
        ("returned", info.value),
        ("failed with", failure),
        ("traceback", info.traceback),
    ]


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
        (each.job_id, str(each.reason), render.local(each.died_at), f"{each.error_type or ''}: {each.error or ''}")
        for each in found
    )
    render.show_table("", ("id", "why", "when", "error"), rows, "there are no dead letters")


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
    form = {name: getattr(info, name) for name in info.__struct_fields__ if name != "v"}
    if as_json:
        render.show_json(form)
    else:
        render.show_fields(queue, form.items())


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
