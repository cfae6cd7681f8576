"""Schedules as the API shows them: plain mappings with epoch seconds."""

from __future__ import annotations

from typing import Any

from naq.jobs.form import job_form
from naq.parsing import epoch
from naq.schedules.forms.specification import schedule_form
from naq.schedules.record import Schedule

__all__ = ["to_dict"]


def to_dict(schedule: Schedule) -> dict[str, Any]:
    """The schedule as the facade shows it: times in epoch seconds, ``max_runs`` -1 for no limit.

    ``schedule`` in it can be handed to `naq.schedules.forms.specification.parse_schedule` again. Times of actions
    (``paused_at``, ``resumed_at``, ``cancelled_at``, ``completed_at``) are there after the action only.
    """
    limit = schedule.policy.max_runs
    entry: dict[str, Any] = {
        "schedule_id": schedule.schedule_id,
        "job": job_form(schedule.job),
        "schedule": schedule_form(schedule.trigger, schedule.policy),
        "description": str(schedule.trigger),
        "created_at": epoch(schedule.created_at),
        "updated_at": epoch(schedule.updated_at or schedule.created_at),
        "next_run_at": epoch(schedule.next_run_at),
        "next_nominal_at": epoch(schedule.next_nominal_at) if schedule.status == "active" else None,
        "status": str(schedule.status),
        "runs": schedule.runs,
        "max_runs": -1 if limit is None else limit,
        "manual_runs": schedule.manual_runs,
        "missed": schedule.missed,
        "skipped": schedule.skipped,
        "error_count": schedule.error_count,
        "last_run_at": epoch(schedule.last_run_at),
        "last_nominal_at": epoch(schedule.last_nominal_at),
        "skip_next": schedule.skip_next,
        "open_runs": [run.job_id for run in schedule.open_runs],
        "buffered": [epoch(nominal) for nominal in schedule.buffered],
        "excluded_from": epoch(schedule.excluded_from),
        "declared_in": schedule.declared_in,
        "labels": dict(schedule.labels),
        "note": schedule.note,
        "pause_reason": schedule.pause_reason,
        "paused_by": schedule.paused_by,
    }
    return entry | _times_of_actions(schedule)


def _times_of_actions(schedule: Schedule) -> dict[str, float | None]:
    instants = {name: getattr(schedule, name) for name in ("paused_at", "resumed_at", "cancelled_at", "completed_at")}
    if schedule.removed_after is not None and schedule.completed_at is not None:
        instants["removed_at"] = schedule.completed_at + schedule.removed_after
    return {name: epoch(instant) for name, instant in instants.items() if instant is not None}
