"""The application face: declare jobs and schedules in a module, and run a scheduler, a worker, or both.

::

    from naq import Naq, cron, every

    app = Naq()                       # the embedded server; Naq("nats://...") for a cluster

    @app.job(queue="mail", retries=3)
    async def send_report(region: str) -> int: ...

    @app.schedule(cron("0 9 * * MON-FRI", tz="Europe/Berlin"), id="daily-report")
    async def daily_report() -> None: ...

``naq run module:app`` runs it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, Unpack, overload

from naq.app.calls import Schedule
from naq.app.client import Client
from naq.app.connection import Connection
from naq.app.declared import Declarations, refuse_unknown
from naq.app.origin import defining_module, origin_of
from naq.app.queues import log_strangers, own_queue, served_by_default
from naq.app.sync import SyncClient
from naq.config import Settings, SettingsOptions, load_settings
from naq.events import Event, EventType
from naq.exceptions import InvalidInput, InvalidSchedule, StoreError
from naq.jobs.functions import Registry
from naq.jobs.job import Job
from naq.jobs.options import JobOptions
from naq.lifecycle import ServiceManager
from naq.observe.alerts.declarations import Observed, To
from naq.observe.alerts.observing import Observing
from naq.observe.alerts.rules import Pattern, Rule
from naq.observe.alerts.sinks import Sink
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.schedules.declared import Change, ChangeKind, Definition, define
from naq.schedules.service import ScheduleService
from naq.store.codec import function_name
from naq.store.keys import check_schedule_id
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.timing.zones import use_zone_data
from naq.worker.execution.run import Middleware
from naq.worker.service import WorkerOptions, WorkerService

__all__ = ["Declared", "Naq"]

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Declared:
    """One schedule that the application declares."""

    schedule_id: str
    job: Job
    schedule: Schedule
    module: str
    """The module of its function."""


class Naq(Client):
    """An application: its jobs, its schedules, and everything a `Client` can do."""

    def __init__(
        self,
        nats_url: str | Sequence[str] | None = None,
        *,
        name: str | None = None,
        config_file: str | Path | None = None,
        middleware: Sequence[Middleware] = (),
        weights: Mapping[str, int] | None = None,
        **config: Unpack[SettingsOptions],
    ) -> None:
        """Without ``nats_url`` (here, in the file or in ``NAQ_NATS_URL``) it uses the embedded server.

        ``name``: the name of its set of declared schedules (default: the module that it is a variable of, else that of
        the first scheduled function), and of the queue of its jobs that name none, so that applications that share a
        server do not share a queue: its workers serve that one and ``default``, unless ``queues`` is given.
        ``middleware``: hooks around every job that its workers run, the first one outermost. ``weights``: how many jobs of
        each queue they take in turn while all queues have some (default 1 each). ``config``: any key of the
        configuration. Raises `ConfigError` with every complaint. It connects at the first call.
        """
        self._given: dict[str, Any] = {**config, **({} if nats_url is None else {"nats_url": nats_url})}
        self.name = name
        self.settings: Settings = self._load(config_file)
        self._module = defining_module(self)
        self.middleware: list[Middleware] = list(middleware)
        self.weights: dict[str, int] = dict(weights or {})
        self._on_worker_start: list[Callable[..., Any]] = []
        self._on_worker_stop: list[Callable[..., Any]] = []
        self.declared: dict[str, Declared] = {}
        """The schedules that were declared with `schedule`, by id."""
        self.observed = Observed()
        """The alerts and sinks that were declared."""
        super().__init__(self.settings, Declarations(self.settings.allow_functions, own_queue(name)))
        self.sync = SyncClient(lambda: Client(self.settings, self._declarations))
        """The same from synchronous code: ``app.sync.enqueue(send_report, "eu")``."""

    @property
    def registry(self) -> Registry:
        """The functions that this application's workers run."""
        return self._declarations.registry

    def configure(self, given: Mapping[str, Any], config_file: str | Path | None = None) -> None:
        """Override some configuration before the application runs. Raises `ConfigError`."""
        self._given |= given
        self.settings = self._load(config_file)
        self.registry.allow(self.settings.allow_functions)
        self._connection = Connection(self.settings)

    def _load(self, config_file: str | Path | None) -> Settings:
        """The settings; without ``queues`` in them, the workers serve the application's own queue."""
        loaded = load_settings(self._given, file=config_file)
        use_zone_data(loaded.zone_data)
        return served_by_default(loaded, self.name)

    @overload
    def job(self, func: F, /) -> F: ...
    @overload
    def job(
        self, /, *, name: str | None = None, aliases: Sequence[str] = (), **options: Unpack[JobOptions]
    ) -> Callable[[F], F]: ...
    def job(
        self,
        func: F | None = None,
        /,
        *,
        name: str | None = None,
        aliases: Sequence[str] = (),
        **options: Unpack[JobOptions],
    ) -> F | Callable[[F], F]:
        """Declare a function as a job: ``@app.job`` or ``@app.job(queue="mail", retries=3)``. It stays a plain function.

        ``name``: what stored jobs and schedules call it, of the form ``billing:send``, so that the function may be renamed or
        moved; by default ``module:qualname``. ``aliases``: former names; what was stored under them runs this function.
        ``options`` are the fields of `naq.Job` besides function, id and arguments. Raises `InvalidJob` at once when one is
        wrong or unknown.
        """
        refuse_unknown(options)

        def declare(function: F) -> F:
            self._declarations.declare(function, options, name, aliases)
            return function

        return declare if func is None else declare(func)

    def on_worker_start(self, func: F, /) -> F:
        """Call the function, sync or async, when a worker starts, before it takes jobs. What it returns is a resource: jobs, and
        functions declared later, get it by the type that it is annotated to return (see `naq.resource`)::

            @app.on_worker_start
            async def connect() -> Pool: ...

        If it raises, the worker does not start.
        """
        self._on_worker_start.append(func)
        return func

    def on_worker_stop(self, func: F, /) -> F:
        """Call the function, sync or async, when a worker has stopped. Its parameters are filled with resources, by type. The
        last one declared is called first; one that raises is logged."""
        self._on_worker_stop.append(func)
        return func

    def schedule(
        self,
        schedule: Schedule,
        *,
        id: str | None = None,  # noqa: A002  the word users expect
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[JobOptions],
    ) -> Callable[[F], F]:
        """Declare a schedule of a function; its id is the function's name unless one is given.

        Declared schedules are stored when the application runs a scheduler (`run`, ``naq run``, ``naq scheduler``).
        Raises `InvalidSchedule` or `InvalidJob` at once when something is wrong.
        """

        def declare(function: F) -> F:
            self._declarations.declare(function, options)
            schedule_id = check_schedule_id(function.__name__ if id is None else id, "id")
            if schedule_id in self.declared:
                raise InvalidSchedule.of("id", schedule_id, "is declared twice in this application", f"{schedule_id}-2")
            job = self._declarations.call(function, args, kwargs or {})
            define(schedule_id, job, schedule)
            module = function_name(function).partition(":")[0]
            self.declared[schedule_id] = Declared(schedule_id, job, schedule, module)
            return function

        return declare

    def alert(
        self,
        rule: Rule,
        to: To = (),
        *,
        name: str | None = None,
        repeat: timedelta | float | str | None = None,
    ) -> str:
        """Declare an alert: ``app.alert(FailedTimes(3), to=Webhook(...))``. Returns its name.

        ``to``: functions and sinks that are told when it fires and when it is resolved; without any it is shown by
        ``naq alert ls`` and the events alone. ``repeat``: told again after so long while it fires. ``name``: its name
        in this application; without one, a name made from the rule. Raises `InvalidInput` at once when something is wrong.

        Alerts are watched by a process that runs this application's scheduler (`run`, ``naq run``, ``naq scheduler``).
        """
        return self.observed.add_alert(rule, to, name, repeat)

    def on_alert(
        self, rule: Rule, *, name: str | None = None, repeat: timedelta | float | str | None = None
    ) -> Callable[[F], F]:
        """Declare an alert that calls the decorated function with an `Alert`; otherwise as `alert`."""

        def declare(function: F) -> F:
            self.observed.add_alert(rule, function, name, repeat)
            return function

        return declare

    def sink(
        self,
        to: Sink | Callable[..., Any],
        *,
        types: Collection[EventType | str] | None = None,
        schedule: str | None = None,
        func: Pattern | None = None,
        queue: str | None = None,
        local: bool = False,
    ) -> None:
        """Declare a sink of events: a function that is called with each `Event`, a `Webhook`, a `LogSink`.

        ``types`` and the patterns ``schedule``, ``func`` and ``queue`` choose among events. It is told what all processes
        emit, by one process that runs this application's scheduler, at least once. ``local``: each process that runs the
        application, also as a worker, tells what it emits itself. Raises `InvalidInput` at once when something is wrong.
        """
        self.observed.add_sink(to, types=types, schedule=schedule, func=func, queue=queue, local=local)

    async def run(
        self,
        *,
        scheduler: bool = True,
        worker: bool = True,
        stop: asyncio.Event | None = None,
        ready: Callable[[ServiceManager], Any] | None = None,
        listen: Callable[[Event], None] | None = None,
    ) -> None:
        """Run a scheduler, a worker, or both, until ``stop`` is set or the task is cancelled; then end gracefully.

        The scheduler hands over its lease; the worker finishes its jobs or hands them back (``drain_timeout``).
        ``ready`` is called with the running services once all have started, ``listen`` with every event that this process
        emits; neither may raise.
        """
        ended = stop or asyncio.Event()
        application = self._alerts_name() if self.observed.needs_watcher else None
        async with (
            Observing(self.observed, application) as seen,
            ServiceManager(self.settings) as services,
            seen.during(services, watches=scheduler),
        ):
            if listen is not None:
                (await services.get_service(EventService)).listen(listen)
            await self._publish(services)
            if scheduler:
                service = await services.get_service(SchedulerService)
                await seen.watch(service)
                await self.store_declared(service)
            if worker:
                runner = await services.get_service(WorkerService)
                runner.use(self._worker_options())
                await runner.start()
                log_strangers(runner.info(), await (await services.get_service(JobService)).list_workers())
            if ready is not None:
                ready(services)
            await ended.wait()

    async def _publish(self, services: ServiceManager) -> None:
        """Tell processes that only know the names of the functions what was declared of them."""
        try:
            await self._declarations.publish(await services.get_service(KVStoreService))
        except StoreError as error:
            log.warning("the options of the declared functions are not published: %s", error)

    def _worker_options(self) -> WorkerOptions:
        return WorkerOptions(
            registry=self.registry,
            middleware=self.middleware,
            weights=self.weights,
            on_start=self._on_worker_start,
            on_stop=self._on_worker_stop,
        )

    def definitions(self) -> tuple[Definition, ...]:
        """The declared schedules as a set to synchronise."""
        renamed = self._declarations.renamed  # a function may have got its name after its schedule
        return tuple(define(each.schedule_id, renamed(each.job), each.schedule) for each in self.declared.values())

    def set_name(self) -> str | None:
        """The name of that set; ``None`` when it has none, because it is no module's variable and declares nothing."""
        if self.name is not None:
            return self.name
        if (origin := self.origin()) is not None:
            return origin.partition(":")[0]
        first = next(iter(self.declared.values()), None)
        return None if first is None else first.module

    def origin(self) -> str | None:
        """``module:variable``, which tells it from other applications; ``None`` when it is no module's variable."""
        return origin_of(self, self._module)

    def _alerts_name(self) -> str:
        """The name that the alerts are kept under: the declared set's, or the module of the first job."""
        name = self.set_name() or next((each.partition(":")[0] for each in self.registry.references), None)
        if name is None:
            raise InvalidInput.of(
                "name", None, "an application with alerts or sinks needs one: Naq(name=...)", "billing"
            )
        return name

    async def store_declared(self, service: ScheduleService) -> tuple[Change, ...]:
        """Create and change the declared schedules. Those of the set that are not declared any more go on, and a warning
        names them (`naq sync MODULE:APP --prune` removes them).

        A release that a newer one replaced changes nothing: one with a smaller number (the setting ``release``), or with
        definitions that newer ones replaced. What could not be taken over, because its id was taken by hand or was
        cancelled, is logged; raises `SetConflict` when another application declares the set, or another set one of the ids.
        """
        name = self.set_name()
        if name is None:
            return ()
        changes = await service.sync(
            self.definitions(),
            name,
            release=self.settings.release,
            origin=self.origin(),
            at_start=True,
            actor=f"declared:{name}",
        )
        for change in changes:
            if change.kind is ChangeKind.REFUSE:
                log.error("declared schedule %s", change)
        return changes
