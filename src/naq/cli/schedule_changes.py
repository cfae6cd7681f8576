"""``naq schedule pause, resume, cancel, delete, skip, update, trigger, backfill``: change schedules while they run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from naq.cli.asking import ask_schedules
from naq.cli.context import absent, actor
from naq.cli.forms import changed_trigger, pairs
from naq.cli.preview import NO_SCHEDULE, IdArgument
from naq.cli.say import say
from naq.exceptions import InvalidInput

__all__ = ["aim", "backfill", "cancel", "delete", "pause", "rename_set", "resume", "skip", "trigger", "update"]


def pause(
    context: typer.Context,
    schedule_id: IdArgument,
    reason: Annotated[str | None, typer.Option(help="Why; shown by 'naq schedule show'.")] = None,
) -> None:
    """Stop a schedule from firing. Once this returns, no fire of it follows."""
    done = ask_schedules(context, lambda it: it.pause_scheduled_job(schedule_id, reason=reason, actor=actor()))
    _say(schedule_id, done, "paused", f"{NO_SCHEDULE}, or it is not active")


def resume(
    context: typer.Context,
    schedule_id: IdArgument,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Also fire what was due while it was paused, as its policy says.")
    ] = False,
) -> None:
    """Let a paused schedule fire again, from now on."""
    done = ask_schedules(context, lambda it: it.resume_scheduled_job(schedule_id, catch_up=catch_up, actor=actor()))
    _say(schedule_id, done, "resumed", f"{NO_SCHEDULE}, or it is not paused")


def cancel(context: typer.Context, schedule_id: IdArgument) -> None:
    """End a schedule for good; its record stays."""
    done = ask_schedules(context, lambda it: it.cancel_scheduled_job(schedule_id, actor=actor()))
    _say(schedule_id, done, "cancelled", NO_SCHEDULE)


def delete(context: typer.Context, schedule_id: IdArgument) -> None:
    """Remove a schedule and its record, also one that is quarantined."""
    done = ask_schedules(context, lambda it: it.delete_schedule(schedule_id, actor=actor()))
    _say(schedule_id, done, "removed", NO_SCHEDULE)


def aim(context: typer.Context, schedule_id: IdArgument) -> None:
    """Compute the next run from now: for a schedule that is silent because a scheduler's clock was ahead."""
    done = ask_schedules(context, lambda it: it.aim_schedule(schedule_id, actor=actor()))
    _say(schedule_id, done, "aimed again", f"{NO_SCHEDULE}, or it is not active")


def skip(
    context: typer.Context,
    schedule_id: IdArgument,
    count: Annotated[
        int, typer.Argument(metavar="COUNT", min=0, max=1000, help="How many of the next times; 0 takes it back.")
    ] = 1,
) -> None:
    """Do not fire the next nominal times."""
    done = ask_schedules(context, lambda it: it.skip_next(schedule_id, count, actor=actor()))
    _say(schedule_id, done, "will skip", f"{NO_SCHEDULE}, or it has ended")


def update(
    context: typer.Context,
    schedule_id: IdArgument,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="NAME=VALUE: any policy, job (its function), args, retries, timeout, queue, ..., note, next_run_at.",
        ),
    ] = None,
    every: Annotated[str | None, typer.Option(help="A new interval; zone and policies stay.")] = None,
    cron: Annotated[str | None, typer.Option(help="A new cron expression; zone and policies stay.")] = None,
    at: Annotated[str | None, typer.Option(help="A new time; zone and policies stay.")] = None,
    tz: Annotated[str | None, typer.Option("--tz", help="A new IANA zone; everything else stays.")] = None,
) -> None:
    """Change a schedule in place; history and counters stay."""
    changes: dict[str, Any] = {**pairs(settings or []), **changed_trigger(every, cron, at, tz)}
    done = ask_schedules(context, lambda it: it.update_schedule(schedule_id, actor=actor(), **changes))
    _say(schedule_id, done, "updated", f"{NO_SCHEDULE}, or it is cancelled")


def trigger(context: typer.Context, schedule_id: IdArgument) -> None:
    """Enqueue one job of it now, in addition to its plan, and print the job's id."""
    job_id = ask_schedules(context, lambda it: it.trigger_schedule(schedule_id, actor=actor()))
    if job_id is None:
        raise absent(schedule_id, f"{NO_SCHEDULE}, or it is cancelled")
    say(job_id)


def backfill(
    context: typer.Context,
    schedule_id: IdArgument,
    first: Annotated[
        str | None,
        typer.Argument(metavar="[FIRST]", help="Begin of the range (ISO; UTC unless it says otherwise), inclusive."),
    ] = None,
    last: Annotated[str | None, typer.Argument(metavar="[LAST]", help="End of the range, inclusive.")] = None,
    one_by_one: Annotated[bool, typer.Option("--one-by-one", help="Each when the one before has ended.")] = False,
    stop: Annotated[
        str | None, typer.Option("--stop", metavar="BACKFILL", help="Stop the backfill with this id.")
    ] = None,
) -> None:
    """Enqueue its nominal times of a past range, and print the backfill's id; or stop a backfill."""
    if stop is not None:
        wanted = stop
        done = ask_schedules(context, lambda it: it.stop_backfill(schedule_id, wanted, actor=actor()))
        _say(schedule_id, done, f"backfill {stop} is stopped", f"{NO_SCHEDULE}, or it has no such backfill in progress")
        return
    if first is None or last is None:
        raise InvalidInput.of(
            "FIRST LAST", [first, last], "give both ends of the range, or --stop", "2026-01-01 2026-01-31"
        )
    begin, end = first, last
    overlap = "buffer_all" if one_by_one else "allow_all"
    backfill_id = ask_schedules(
        context, lambda it: it.backfill_schedule(schedule_id, begin, end, overlap=overlap, actor=actor())
    )
    if backfill_id is None:
        raise absent(schedule_id, f"{NO_SCHEDULE}, or it has ended")
    say(backfill_id)


def rename_set(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The set's name: of a module or a file, or Naq(name=...).")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
) -> None:
    """Make the schedules of one declared set those of another, before a release with the new name starts."""
    moved = ask_schedules(context, lambda it: it.rename_set(old, new, actor=actor()))
    if not moved:
        raise absent(old, "no schedule is declared in this set")
    say(f"{old}: {moved} schedule{'s' if moved > 1 else ''} of set {new} now")


def _say(schedule_id: str, done: bool, what: str, otherwise: str) -> None:
    if not done:
        raise absent(schedule_id, otherwise)
    say(f"{schedule_id}: {what}")
