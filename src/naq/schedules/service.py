"""Schedules as people handle them: created, listed, changed, from any process, without standing for leadership.

The dict forms are accepted and returned here only; inside there are typed records. ``None`` and ``False`` mean "there
is none"; a store that cannot be asked is a `SchedulerError` with its cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from naq.clock import Clock
from naq.config import Settings
from naq.events import EventType
from naq.exceptions import InvalidSchedule, RecordUnreadable, SchedulerError
from naq.jobs.form import parse_job
from naq.jobs.history import HistorySink
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job, JobSpec
from naq.jobs.published import PublishedFunctions
from naq.lifecycle import BaseService, ServiceManager
from naq.schedules.declared import Change, Definition
from naq.schedules.entries import entry_of
from naq.schedules.forms.changes import read_changes, read_instant
from naq.schedules.forms.specification import Form, never_fires, parse_schedule, zone_of
from naq.schedules.planning.manual import backfill, backfill_stopped
from naq.schedules.policy import IfExists, Overlap
from naq.schedules.preview import Upcoming, preview, previous_times
from naq.schedules.record import Schedule
from naq.schedules.repository import Change as Edit
from naq.schedules.repository import Changed, Schedules, Unreadable
from naq.schedules.standing import Standing, standing_of, standings
from naq.schedules.stopping import WorkerStopper
from naq.schedules.stored import asking
from naq.schedules.sync import SetSync, SyncOptions
from naq.schedules.transitions import (
    aimed_again,
    cancelled,
    new_schedule,
    paused,
    replaced,
    resumed,
    skip_next,
)
from naq.store.keys import Namespace, check_schedule_id, new_id
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService

__all__ = ["ScheduleActs", "ScheduleService"]


class ScheduleActs:
    """What can be done with schedules, on any store."""

    def __init__(self, schedules: Schedules, history: HistorySink | None, clock: Clock) -> None:
        self.clock = clock
        self.schedules = schedules
        """The typed way to the same schedules."""
        self.schedules.overdue.history = history
        self._sets = SetSync(schedules, clock)
        self._published = PublishedFunctions(schedules.store, clock)

    async def schedule_job(
        self,
        job: Job | Callable[..., Any] | str,
        schedule: Form,
        *,
        schedule_id: str | None = None,
        if_exists: IfExists | str = IfExists.RAISE,
        labels: Mapping[str, str] | None = None,
        note: str | None = None,
        actor: str | None = None,
    ) -> str:
        """Store a schedule that runs ``job``, and return its id (a fresh one when none is given).

        ``job`` is a `Job`, or a function (or its name, ``"module:qualname"``) that is called without arguments. ``schedule`` is
        a mapping such as ``{"type": "interval", "interval": 60}``, a `Trigger`, or what `naq.cron` and `naq.every` return. When
        the id is taken, ``if_exists`` decides: ``raise``, ``keep`` or ``replace`` (history and counters stay).

        Raises `InvalidJob` or `InvalidSchedule` with every complaint, before anything is written; `ScheduleExists`, also when it
        is to be replaced and was cancelled; `SchedulerError`.
        """
        choice = _if_exists(if_exists)
        identity = new_id() if schedule_id is None else _schedule_id(schedule_id)
        now = self.clock.now()
        spec = await _declared_spec(self._published, job)
        trigger, policy = parse_schedule(schedule, None)
        created = new_schedule(identity, spec, trigger, policy, now, labels=dict(labels or {}), note=note)
        problems = never_fires(trigger, policy, now)

        def replace(existing: Schedule) -> Schedule | None:
            after = replaced(existing, created, now)
            if problems and after is not None and after.trigger != existing.trigger:
                raise InvalidSchedule(*problems)
            return after

        if problems and (choice is IfExists.RAISE or await self.schedules.get(identity) is None):
            raise InvalidSchedule(*problems)
        await self.schedules.create(created, choice, replace, actor)
        return identity

    async def schedule_many(
        self, jobs: Iterable[tuple[Job, Form] | tuple[Job, Form, str]], *, actor: str | None = None
    ) -> list[str]:
        """Store many schedules, given as (job, schedule) or (job, schedule, id), and return their ids in order.

        All are checked before the first is written. Some hundreds share a transaction: `ScheduleExists` says that an id
        was taken, while others may have been created.
        """
        now = self.clock.now()
        made = []
        for job, form, *rest in jobs:
            identity = _schedule_id(rest[0]) if rest else new_id()
            trigger, policy = parse_schedule(form, now)
            made.append(new_schedule(identity, await _declared_spec(self._published, job), trigger, policy, now))
        await self.schedules.create_many(made, actor)
        return [schedule.schedule_id for schedule in made]

    async def update_schedule(self, schedule_id: str, *, actor: str | None = None, **changes: Any) -> bool:
        """Change a schedule in place; ``False`` when there is none, or it is cancelled. History and counters stay.

        ``changes``: ``job`` (a `Job` replaces all of it; a function, its name, or a mapping of fields changes only these);
        any field of the job (``args``, ``kwargs``, ``queue``, ``retries``, ``timeout``, ...); any key of a form (``cron``,
        ``interval``, ``timezone``, ``max_runs``, ``overlap``, ...), which leaves zone and policy as they are where it does
        not name them; ``schedule``, a whole form that replaces trigger and policy; ``next_run_at`` (the next run only),
        ``labels``, ``note``. Times without an offset are read in the schedule's zone. The next run is computed from now only
        if the timing changed; what is due by now is decided first, by the old definition. Raises `InvalidSchedule` or
        `InvalidJob` before anything is written.
        """
        now = self.clock.now()
        read = read_changes(changes, now)
        return await self._change(schedule_id, lambda it: read.applied(it, now), EventType.SCHEDULE_UPDATED, actor)

    async def skip_next(self, schedule_id: str, count: int = 1, *, actor: str | None = None) -> bool:
        """Let the next ``count`` nominal times pass without a fire (0: none, whatever was asked before).

        ``False`` when there is no such schedule, or it has ended. Raises `InvalidSchedule` for a count not in 0..1000.
        """
        return await self._change(schedule_id, lambda it: skip_next(it, count), EventType.SCHEDULE_UPDATED, actor)

    async def backfill_schedule(
        self,
        schedule_id: str,
        first: datetime | str | float,
        last: datetime | str | float,
        *,
        overlap: Overlap | str = Overlap.ALLOW_ALL,
        backfill_id: str | None = None,
        actor: str | None = None,
    ) -> str | None:
        """Enqueue the nominal times of a past range, both ends included; the backfill's id, ``None`` without a schedule.

        Times without an offset are in the schedule's zone. The leader works it off in slices, and another leader goes on
        where it ended. Asked for again with the same
        ``backfill_id`` nothing changes. Raises `InvalidSchedule` for a range that is empty, too long, or not in the past.
        """
        identity = check_schedule_id(backfill_id or new_id(), "backfill_id")
        read_instant(first, "first"), read_instant(last, "last")
        policy = _overlap(overlap)

        def change(schedule: Schedule) -> Schedule | None:
            zone = zone_of(schedule.trigger, schedule.policy)
            begin, end = read_instant(first, "first", zone), read_instant(last, "last", zone)
            return backfill(schedule, identity, begin, end, self.clock.now(), policy)

        done = await self._change(schedule_id, change, EventType.SCHEDULE_UPDATED, actor, "backfill")
        return identity if done else None

    async def stop_backfill(self, schedule_id: str, backfill_id: str, *, actor: str | None = None) -> bool:
        """Drop what a backfill has not enqueued yet; ``False`` when there is no such schedule or backfill, or it is done."""

        def change(schedule: Schedule) -> Schedule | None:
            return backfill_stopped(schedule, backfill_id, self.clock.now())

        return await self._change(schedule_id, change, EventType.SCHEDULE_UPDATED, actor, "backfill stopped")

    async def next_times(self, schedule_id: str, count: int = 10) -> tuple[Upcoming, ...] | None:
        """The next nominal times, with the reason for those that will not fire; ``None`` without such a schedule."""
        schedule = await self.schedules.get(_schedule_id(schedule_id))
        return None if schedule is None else preview(schedule, self.clock.now(), count)

    async def previous_times(self, schedule_id: str, count: int = 10) -> tuple[datetime, ...] | None:
        """The last nominal times, newest first, whether or not they fired; ``None`` without such a schedule."""
        schedule = await self.schedules.get(_schedule_id(schedule_id))
        return None if schedule is None else previous_times(schedule, self.clock.now(), count)

    async def trigger_schedule(
        self, schedule_id: str, *, overlap: Overlap | str = Overlap.ALLOW_ALL, actor: str | None = None
    ) -> str | None:
        """Enqueue one job of a schedule now, beside its plan; the job's id.

        ``None`` when there is no such schedule, it is cancelled, or ``overlap`` is ``skip`` and a run is open.
        ``terminate_other`` gives up the runs that are open, as far as the schedule tracks them.
        """
        return await self.schedules.trigger(_schedule_id(schedule_id), actor, _overlap(overlap))

    async def cancel_scheduled_job(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """End a schedule for good; ``False`` when there is no such schedule. No fire of it follows."""
        now = self.clock.now()
        return await self._change(schedule_id, lambda it: cancelled(it, now), EventType.SCHEDULE_CANCELLED, actor)

    async def pause_scheduled_job(
        self, schedule_id: str, *, reason: str | None = None, actor: str | None = None
    ) -> bool:
        """Stop a schedule from firing; ``False`` when there is none, or it is not active. No fire of it follows."""
        now = self.clock.now()
        return await self._change(
            schedule_id, lambda it: paused(it, now, reason, actor), EventType.SCHEDULE_PAUSED, actor, reason
        )

    async def resume_scheduled_job(self, schedule_id: str, *, catch_up: bool = False, actor: str | None = None) -> bool:
        """Let a paused schedule fire again; ``False`` when there is none, or it is not paused.

        Its next run is computed from now: what was due while it was paused does not fire, unless ``catch_up`` asks for it.
        The history says what the pause took.
        """
        now = self.clock.now()
        return await self._change(schedule_id, lambda it: resumed(it, now, catch_up), EventType.SCHEDULE_RESUMED, actor)

    async def aim_schedule(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """Compute the next run of an active schedule from now, whatever was decided about times to come; ``False`` when
        there is no such schedule, or it is not active.

        For a schedule that is silent because a scheduler's clock was ahead: `get_schedule` shows ``decided_ahead``.
        A nominal time that was fired too early fires again when it comes.
        """
        now, kind = self.clock.now(), EventType.SCHEDULE_UPDATED
        return await self._change(schedule_id, lambda it: aimed_again(it, now), kind, actor, "aimed again from now")

    async def delete_schedule(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """Remove a schedule and its record, also one that is quarantined; ``False`` when there is none."""
        return await self.schedules.delete(_schedule_id(schedule_id), actor)

    async def list_schedules(self, status: str | None = None) -> list[dict[str, Any]]:
        """All schedules (of one status), newest first, as `get_schedule` shows them.

        Records that cannot be read are listed with status ``quarantined`` and the ``reason``, unless a status is asked for.
        """
        return [self._entry(each) for each in await standings(self.schedules.store, status)]

    async def get_schedule(self, schedule_id: str) -> dict[str, Any] | None:
        """The schedule as a dict, times in epoch seconds; ``None`` when there is none."""
        try:
            schedule: Schedule | Unreadable | None = await self.schedules.get(_schedule_id(schedule_id))
        except RecordUnreadable as error:
            schedule = Unreadable(schedule_id, error.reason)
        return None if schedule is None else self._entry(standing_of(schedule))

    async def sync(
        self,
        definitions: Iterable[Definition],
        set_name: str,
        *,
        dry_run: bool = False,
        prune: bool = False,
        adopt: Iterable[str] = (),
        release: int | None = None,
        origin: str | None = None,
        at_start: bool = False,
        actor: str | None = None,
    ) -> tuple[Change, ...]:
        """Bring a declared set into the store, and return what was (or, as a dry run, would be) done about each schedule.

        Creates and changes in place. What is in the set and not declared any more is kept and named in a warning; with
        ``prune`` it is removed. Schedules of other sets are never touched, but for those of the sets in ``adopt``, which
        are taken over where they are declared here. Schedules made by hand are never touched.

        ``at_start``: an application declares its set when it starts. Then an older release changes nothing: one with a
        smaller ``release`` (a number that grows with each release), or with definitions that newer ones replaced. And
        `SetConflict` is raised when another application (another ``origin``, ``module:variable``) declares the set, or
        another set owns one of the ids. Otherwise a user asked for it, and it is the newest generation.

        Raises `InvalidSchedule` for an id that is declared twice.
        """
        options = SyncOptions(dry_run, prune, tuple(adopt), release, origin, at_start, actor)
        return await self._sets.sync(tuple(definitions), set_name, options)

    async def rename_set(self, old: str, new: str, *, actor: str | None = None) -> int:
        """Make the schedules of one declared set those of another, e.g. when a module was renamed; how many there were.

        They keep everything else, and a release that still declares the old set changes nothing from then on. Raises
        `InvalidInput` when a name is empty, or both are the same.
        """
        return await self._sets.rename(old, new, actor)

    async def _change(
        self, schedule_id: str, change: Edit, kind: EventType, actor: str | None, reason: str | None = None
    ) -> bool:
        return await self._changed(schedule_id, change, kind, actor, reason) is not None

    async def _changed(
        self, schedule_id: str, change: Edit, kind: EventType, actor: str | None, reason: str | None = None
    ) -> Changed | None:
        identity = _schedule_id(schedule_id)
        try:
            return await self.schedules.change(identity, change, kind, actor, reason)
        except RecordUnreadable as error:
            raise SchedulerError(f"schedule {identity!r} is quarantined: {error.reason}; mend or delete it") from error

    def _entry(self, standing: Standing) -> dict[str, Any]:
        return entry_of(standing, self.clock.now())


class ScheduleService(ScheduleActs, BaseService):
    """Create, list, get, update, pause, resume, trigger, cancel and delete schedules."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        kv_service: KVStoreService,
        event_service: EventService,
        history_service: HistoryService | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Without ``history_service`` what does not fire is reported by events only."""
        BaseService.__init__(self, config)
        clock = clock or connection_service.clock
        schedules = Schedules(kv_service, clock, event_service, self.settings.instance_id)
        ScheduleActs.__init__(self, schedules, history_service, clock)
        self._stopper = WorkerStopper(connection_service, Namespace(self.settings.namespace), kv_service)
        self.schedules.on_given_up = self._stopper.stop
        self._connection = connection_service
        self._kv = kv_service
        self._events = event_service
        self._history_service = history_service

    async def _do_initialize(self) -> None:
        await self._kv.initialize()
        await self._events.initialize()
        if self._history_service is not None:
            await self._history_service.initialize()

    async def _do_cleanup(self) -> None:
        await self._stopper.close()


def _schedule_id(value: str) -> str:
    return check_schedule_id(value)


def _if_exists(value: IfExists | str) -> IfExists:
    try:
        return IfExists(value)
    except ValueError:
        raise InvalidSchedule.of("if_exists", value, "is not one of raise, keep, replace", "keep") from None


def _overlap(value: Overlap | str) -> Overlap:
    try:
        return Overlap(value)
    except ValueError:
        raise InvalidSchedule.of("overlap", value, f"is not one of {', '.join(Overlap)}", "skip") from None


async def _declared_spec(published: PublishedFunctions, job: Job | Callable[..., Any] | str) -> JobSpec:
    """The stored form of a job, with what was declared of a function that is given by name."""
    with asking("read what was declared of the function"):
        return parse_job(await published.complete(job))


ServiceManager.register_service("schedules", ScheduleService)
