"""The base class of services, and the manager that builds each service once, with its dependencies.

A service declares its dependencies as typed constructor parameters::

    class Reports(BaseService):
        def __init__(self, config: Mapping[str, Any], event_service: EventService) -> None: ...

`ServiceManager.get_service` builds and starts a service and its dependencies, each once; they are stopped in reverse order.
User-defined services work the same way.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar, overload

from naq.clock import Clock
from naq.config import Settings, load_settings
from naq.exceptions import ServiceError

__all__ = ["BaseService", "ServiceError", "ServiceManager", "Tasks"]

S = TypeVar("S", bound="BaseService")

RESTART_AFTER = 1.0
"""Seconds before a task that failed is started again."""

log = logging.getLogger(__name__)


class BaseService(ABC):
    """A component that is started and stopped. A subclass implements `_do_initialize` and `_do_cleanup`."""

    def __init__(self, config: Mapping[str, Any] | Settings) -> None:
        """``config`` is the flat mapping of `naq.config`, or a `Settings`. Raises `ConfigError` with all complaints."""
        self.config = config
        self.settings: Settings = load_settings(config)
        self._initialized = False
        self._turn = asyncio.Lock()

    @property
    def initialized(self) -> bool:
        """Whether the service is started."""
        return self._initialized

    async def initialize(self) -> None:
        """Start; does nothing when started. A start that fails cleans up after itself, and may be tried again."""
        async with self._turn:
            if self._initialized:
                return
            try:
                await self._do_initialize()
            except BaseException:
                await self._do_cleanup()
                raise
            self._initialized = True

    async def cleanup(self) -> None:
        """Stop; does nothing when not started, and is safe before `initialize`."""
        async with self._turn:
            if not self._initialized:
                return
            self._initialized = False
            await self._do_cleanup()

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cleanup()

    @abstractmethod
    async def _do_initialize(self) -> None:
        """Acquire what the service needs. On failure `_do_cleanup` is called."""

    @abstractmethod
    async def _do_cleanup(self) -> None:
        """Release everything that was acquired, also after a partial start."""


class ServiceManager:
    """Builds services with their dependencies, starts each once, and stops them in reverse order.

    ::

        async with ServiceManager(config) as services:
            scheduler = await services.get_service(SchedulerService)
    """

    _registered: ClassVar[dict[str, type[BaseService]]] = {}

    def __init__(self, config: Mapping[str, Any] | Settings | None = None) -> None:
        """Raises `ConfigError` at once when the configuration cannot be used."""
        self.settings: Settings = load_settings(config)
        self._started: dict[type[BaseService], BaseService] = {}
        self._turn = asyncio.Lock()

    @classmethod
    def register_service(cls, name: str, service_type: type[BaseService]) -> None:
        """Make a service known by name. Raises `ServiceError` when another type has the name."""
        known = cls._registered.get(name)
        if known is not None and known is not service_type:
            raise ServiceError(
                f"the service name {name!r} belongs to {known.__qualname__}; "
                f"register {service_type.__qualname__} under another name"
            )
        if not (isinstance(service_type, type) and issubclass(service_type, BaseService)):
            raise ServiceError(f"{service_type!r} cannot be the service {name!r}: it must be a subclass of BaseService")
        cls._registered[name] = service_type

    @overload
    async def get_service(self, service_type: type[S]) -> S: ...
    @overload
    async def get_service(self, service_type: str) -> BaseService: ...
    async def get_service(self, service_type: type[BaseService] | str) -> BaseService:
        """The started service of that type (or registered name), built now if it is not yet there.

        Raises `ServiceError` for an unknown name, a constructor parameter that is not a service, or a cycle
        of dependencies, and any error of the service's own start.
        """
        wanted = self._by_name(service_type) if isinstance(service_type, str) else service_type
        async with self._turn:
            return await self._build(wanted, ())

    def find(self, service_type: type[S]) -> S | None:
        """The service of that type if it is started already; ``None`` otherwise."""
        found = self._started.get(service_type)
        return found if isinstance(found, service_type) else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cleanup()

    async def cleanup(self) -> None:
        """Stop every service, the last started first. All are stopped even if some fail; their errors are raised
        together as an `ExceptionGroup`."""
        errors: list[Exception] = []
        async with self._turn:
            while self._started:
                _, service = self._started.popitem()
                try:
                    await service.cleanup()
                except Exception as error:  # noqa: BLE001  one failing stop must not keep the others from stopping
                    errors.append(error)
        if errors:
            raise ExceptionGroup("services that did not stop cleanly", errors)

    def _by_name(self, name: str) -> type[BaseService]:
        try:
            return self._registered[name]
        except KeyError:
            raise ServiceError(
                f"there is no service called {name!r}; registered are {', '.join(sorted(self._registered)) or 'none'}"
            ) from None

    async def _build(self, wanted: type[BaseService], path: tuple[type[BaseService], ...]) -> BaseService:
        if wanted in self._started:
            return self._started[wanted]
        if wanted in path:
            circle = " -> ".join(each.__qualname__ for each in (*path, wanted))
            raise ServiceError(f"services depend on each other in a circle: {circle}; one of them must not")
        if not (isinstance(wanted, type) and issubclass(wanted, BaseService)) or inspect.isabstract(wanted):
            raise ServiceError(f"{wanted!r} cannot be built: it must be a concrete subclass of BaseService")
        needs = {name: await self._build(needed, (*path, wanted)) for name, needed in _dependencies(wanted).items()}
        service = wanted(self.settings, **needs)
        await service.initialize()
        self._started[wanted] = service
        return service


def _dependencies(service_type: type[BaseService]) -> dict[str, type[BaseService]]:
    """The services that a constructor asks for, by parameter name, without ``config``."""
    parameters = list(inspect.signature(service_type.__init__).parameters.values())[1:]
    try:
        hints = typing.get_type_hints(service_type.__init__)
    except NameError as error:
        raise ServiceError(f"{service_type.__qualname__}: a type of its constructor is unknown: {error}") from None
    needs: dict[str, type[BaseService]] = {}
    for parameter in parameters:
        if parameter.name == "config" or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        hint = _without_none(hints.get(parameter.name))
        if isinstance(hint, type) and issubclass(hint, BaseService):
            needs[parameter.name] = hint
        elif parameter.default is parameter.empty:
            raise ServiceError(
                f"{service_type.__qualname__} asks for {parameter.name}: {hint!r}, which is not a service; "
                "give it a default, or annotate it with a subclass of BaseService"
            )
    return needs


def _without_none(hint: Any) -> Any:
    """``X`` for ``X | None``: an optional service is injected all the same."""
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    return parts[0] if len(parts) == 1 and type(None) in typing.get_args(hint) else hint


class Tasks:
    """Long-running tasks of one owner. A task that fails is logged with its traceback and started again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``work()`` until `stop`; it is called again after it fails or returns."""
        self._tasks.append(asyncio.create_task(self._keep_up(name, work), name=name))

    async def stop(self) -> None:
        """Cancel all tasks and wait for them, the last started first. Idempotent."""
        while self._tasks:
            task = self._tasks.pop()
            while not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=1.0)

    async def _keep_up(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("%s failed; it is started again in %s s", name, RESTART_AFTER)
            await self._clock.sleep(RESTART_AFTER)
