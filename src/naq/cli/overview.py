"""The list of the commands that look: how things stand, what happened, and a copy of it all."""

from __future__ import annotations

from typing import Any

from naq.cli.lazy import LazyCommand, group

__all__ = ["look"]


def look(panel: str) -> tuple[Any, ...]:
    """Commands that say how things stand, under a heading of the help."""
    return (
        LazyCommand(
            "doctor",
            "doctor:doctor",
            "Look over server, bucket, clock, leader and schedules; exit code 1 when something is wrong.",
            ("naq doctor", "naq --nats-url nats://nats.example.org doctor --json"),
            panel,
        ),
        group("health", "One question for a container's check, answered by the exit code.", _health(), panel),
        LazyCommand(
            "verify",
            "verify:verify",
            "Did everything fire that should have? Exit code 1 when a fire is lost, duplicate, unexplained or overdue.",
            ("naq verify", "naq verify daily-report --since 7d", "naq verify --since 1h --json"),
            panel,
        ),
        group("alert", "Look at alerts.", _alerts(), panel),
        LazyCommand(
            "leader",
            "doctor:leader",
            "Who leads, since when, and when its last heartbeat came; exit code 1 when no instance leads.",
            ("naq leader --json",),
            panel,
        ),
        LazyCommand("workers", "jobs:workers", "List the workers that are alive.", ("naq workers --json",), panel),
        *_look_closer(panel),
        *_keep(panel),
    )


def _health() -> tuple[LazyCommand, ...]:
    ready = "Do schedules fire, and can jobs be enqueued? Exit code 1 when not."
    return (
        LazyCommand("live", "health:live", "Does the server answer? Exit code 1 when not.", ("naq health live",)),
        LazyCommand("ready", "health:ready", ready, ("naq health ready", "naq health ready --json")),
    )


def _look_closer(panel: str) -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "events",
            "doctor:events",
            "Show events as they happen.",
            ("naq events --since 1h --schedule daily-report", "naq events --type job_failed --json"),
            panel,
        ),
        LazyCommand(
            "lint",
            "sets:lint_schedules",
            "Warn of schedules that never fire, pile up on one second, or fall into a DST gap; exit code 1 when there are any.",
            ("naq lint",),
            panel,
        ),
        LazyCommand(
            "permissions",
            "permissions:permissions",
            "The NATS permissions of a role: all that it needs, and no more. Asks no server.",
            (
                "naq permissions --role worker --queue mail > worker.conf",
                "naq permissions --role scheduler --role worker --role client --format nsc",
            ),
            panel,
        ),
        LazyCommand(
            "config",
            "doctor:config",
            "The settings in force, without secrets, and where each comes from.",
            ("naq config --json", "naq --config naq.toml config"),
            panel,
        ),
    )


def _alerts() -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "ls",
            "alerts:ls",
            "List the alerts that are firing, those that fired last first.",
            ("naq alert ls", "naq alert ls --all --json"),
        ),
    )


def _keep(panel: str) -> tuple[LazyCommand, ...]:
    return (
        LazyCommand(
            "backup",
            "backup:backup",
            "Write everything into one file, as it is at one moment, while schedulers and workers go on.",
            ("naq backup naq-backup.gz",),
            panel,
        ),
        LazyCommand(
            "restore",
            "backup:restore",
            "Write a backup into an empty namespace. If it is interrupted, the same command begins again.",
            ("naq --namespace restored restore naq-backup.gz", "naq restore naq-backup.gz --check"),
            panel,
        ),
    )
