"""``naq schedule pause, resume, cancel, rm, skip, update, trigger, backfill``: schedules changed while they run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from naq.cli.context import absent, actor, examples, options_of, run, service
from naq.cli.forms import pairs, trigger_form
from naq.cli.schedule_history import app
from naq.cli.schedules import NO_SCHEDULE, IdArgument
from naq.schedules.service import ScheduleService

__all__ = ["app"]


@app.command(epilog=examples("naq schedule pause daily-report --reason 'data centre moves'"))
def pause(
    context: typer.Context,
    schedule_id: IdArgument,
    reason: Annotated[str | None, typer.Option(help="Why; shown to whoever looks.")] = None,
) -> None:
    """Stop a schedule from firing. Once this returns, no fire of it follows."""
    _changed(
        context, schedule_id, f"{NO_SCHEDULE}, or it is not active", "paused", "pause_scheduled_job", reason=reason
    )


@app.command(epilog=examples("naq schedule resume daily-report --catch-up"))
def resume(
    context: typer.Context,
    schedule_id: IdArgument,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Fire what was due meanwhile, as its policy says.")
    ] = False,
) -> None:
    """Let a paused schedule fire again, from now on."""
    _changed(
        context,
        schedule_id,
        f"{NO_SCHEDULE}, or it is not paused",
        "resumed",
        "resume_scheduled_job",
        catch_up=catch_up,
    )


@app.command(epilog=examples("naq schedule cancel daily-report"))
def cancel(context: typer.Context, schedule_id: IdArgument) -> None:
    """End a schedule for good; its record stays."""
    _changed(context, schedule_id, NO_SCHEDULE, "cancelled", "cancel_scheduled_job")


@app.command("rm", epilog=examples("naq schedule rm daily-report"))
def remove(context: typer.Context, schedule_id: IdArgument) -> None:
    """Remove a schedule and its record, a quarantined one too."""
    _changed(context, schedule_id, NO_SCHEDULE, "removed", "delete_schedule")


@app.command(epilog=examples("naq schedule skip daily-report 2"))
def skip(
    context: typer.Context,
    schedule_id: IdArgument,
    count: Annotated[
        int, typer.Argument(metavar="COUNT", min=0, max=1000, help="How many of the next times; 0 takes it back.")
    ] = 1,
) -> None:
    """Let the next times pass without a fire."""
    _changed(context, schedule_id, f"{NO_SCHEDULE}, or it has ended", "will skip", "skip_next", count=count)


@app.command(
    epilog=examples("naq schedule update daily-report --set max_runs=10 --set overlap=skip --cron '0 8 * * *'")
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
    changes = pairs(settings or [])
    if every is not None or cron is not None or at is not None:
        changes["schedule"] = trigger_form(every, cron, at, tz)
    _changed(context, schedule_id, f"{NO_SCHEDULE}, or it is cancelled", "updated", "update_schedule", **changes)


def _changed(context: typer.Context, schedule_id: str, otherwise: str, done: str, method: str, **options: Any) -> None:
    async def change() -> bool:
        async with service(options_of(context), ScheduleService) as schedules:
            return bool(await getattr(schedules, method)(schedule_id, actor=actor(), **options))

    if not run(change()):
        raise absent(schedule_id, otherwise)
    print(f"{schedule_id}: {done}")


@app.command(epilog=examples("naq schedule trigger daily-report"))
def trigger(context: typer.Context, schedule_id: IdArgument) -> None:
    """Enqueue one job of it now, beside its plan, and print the job's id."""

    async def work() -> str | None:
        async with service(options_of(context), ScheduleService) as schedules:
            return await schedules.trigger_schedule(schedule_id, actor=actor())

    job_id = run(work())
    if job_id is None:
        raise absent(schedule_id, f"{NO_SCHEDULE}, or it is cancelled")
    print(job_id)


@app.command(epilog=examples("naq schedule backfill daily-report 2026-01-01 2026-01-31T23:59:59Z"))
def backfill(
    context: typer.Context,
    schedule_id: IdArgument,
    first: Annotated[
        str, typer.Argument(metavar="FIRST", help="Begin of the range (ISO; UTC unless it says otherwise), inclusive.")
    ],
    last: Annotated[str, typer.Argument(metavar="LAST", help="End of the range, inclusive.")],
    one_by_one: Annotated[bool, typer.Option("--one-by-one", help="Each when the one before has ended.")] = False,
) -> None:
    """Enqueue its nominal times of a past range, and print the backfill's id."""

    async def work() -> str | None:
        async with service(options_of(context), ScheduleService) as schedules:
            overlap = "buffer_all" if one_by_one else "allow_all"
            return await schedules.backfill_schedule(schedule_id, first, last, overlap=overlap, actor=actor())

    backfill_id = run(work())
    if backfill_id is None:
        raise absent(schedule_id, f"{NO_SCHEDULE}, or it has ended")
    print(backfill_id)
