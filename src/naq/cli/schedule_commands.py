"""The commands of ``naq schedule``, for the list of all commands."""

from __future__ import annotations

from naq.cli.lazy import LazyCommand

__all__ = ["schedule_commands"]


def schedule_commands() -> tuple[LazyCommand, ...]:
    """All of them, in the order of the help."""
    return (*_schedules(), *_schedule_times(), *_schedule_changes(), *_schedule_runs())


def _schedules() -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "add",
            "schedules:add",
            "Create a schedule, and print its id.",
            (
                "naq schedule add reports:send --cron '0 9 * * MON-FRI' --tz Europe/Berlin --id daily-report",
                "naq schedule add reports:send --every 10s --arg eu --arg 3 --set overlap=skip --set jitter=2s",
                "naq schedule add reports:send --at 2030-01-31T09:00 --tz Europe/Berlin --args '[\"eu\"]'",
            ),
        ),
        LazyCommand(
            "ls",
            "schedules:ls",
            "List schedules, newest first.",
            ("naq schedule ls --status paused", "naq schedule ls --json"),
        ),
        LazyCommand(
            "show",
            "schedule_history:show",
            "One schedule: when next, what happened the last 10 times, and why not.",
            ("naq schedule show daily-report", "naq schedule show daily-report --json"),
        ),
    )


def _schedule_times() -> tuple[LazyCommand, ...]:
    preview = ("naq schedule preview daily-report -n 5",)
    previews = "The next nominal times in local time and UTC, with the reason for those that will not fire."
    return (
        LazyCommand("preview", "preview:preview", previews, preview),
        LazyCommand("next", "preview:preview", previews, preview, hidden=True),
        LazyCommand(
            "history",
            "schedule_history:history",
            "What came of its nominal times, newest first, with those that did not fire; also of a removed schedule.",
            ("naq schedule history daily-report", "naq schedule history daily-report -n 50 --json"),
        ),
        LazyCommand(
            "explain",
            "preview:explain",
            "What a cron expression means, and its next times; a time that DST moved is marked. Asks no server.",
            ("naq schedule explain '30 2 * * *' --tz Europe/Berlin", "naq schedule explain '0 9 L * *'"),
        ),
    )


def _schedule_changes() -> tuple[LazyCommand, ...]:
    delete = "Remove a schedule and its record, also one that is quarantined."
    return (
        LazyCommand(
            "update",
            "schedule_changes:update",
            "Change a schedule in place; history and counters stay.",
            ("naq schedule update daily-report --cron '0 8 * * *' --set max_runs=10 --set overlap=skip",),
        ),
        LazyCommand(
            "pause",
            "schedule_changes:pause",
            "Stop a schedule from firing. Once this returns, no fire of it follows.",
            ("naq schedule pause daily-report --reason 'data centre moves'",),
        ),
        LazyCommand(
            "resume",
            "schedule_changes:resume",
            "Let a paused schedule fire again, from now on.",
            ("naq schedule resume daily-report --catch-up",),
        ),
        LazyCommand(
            "cancel",
            "schedule_changes:cancel",
            "End a schedule for good; its record stays.",
            ("naq schedule cancel daily-report",),
        ),
        LazyCommand(
            "rename-set",
            "schedule_changes:rename_set",
            "Make the schedules of one declared set those of another, before a release with the new name starts.",
            ("naq schedule rename-set tasks billing.tasks",),
        ),
        LazyCommand("delete", "schedule_changes:delete", delete, ("naq schedule delete daily-report",)),
        LazyCommand("rm", "schedule_changes:delete", delete, ("naq schedule delete daily-report",), hidden=True),
    )


def _schedule_runs() -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "aim",
            "schedule_changes:aim",
            "Compute the next run from now: for a schedule that is silent because a scheduler's clock was ahead.",
            ("naq schedule aim daily-report",),
        ),
        LazyCommand(
            "skip",
            "schedule_changes:skip",
            "Do not fire the next nominal times.",
            ("naq schedule skip daily-report 2",),
        ),
        LazyCommand(
            "trigger",
            "schedule_changes:trigger",
            "Enqueue one job of it now, in addition to its plan, and print the job's id.",
            ("naq schedule trigger daily-report",),
        ),
        LazyCommand(
            "backfill",
            "schedule_changes:backfill",
            "Enqueue its nominal times of a past range, and print the backfill's id; or stop a backfill.",
            (
                "naq schedule backfill daily-report 2026-01-01 2026-01-31T23:59:59Z",
                "naq schedule backfill daily-report --stop 01KB9TM5C2",
            ),
        ),
    )
