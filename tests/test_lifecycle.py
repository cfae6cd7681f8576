"""Lifecycle and dependency injection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from naq.exceptions import ConfigError
from naq.lifecycle import BaseService, ServiceError, ServiceManager


class Recorder(BaseService):
    log: list[str] = []  # noqa: RUF012  cleared by the fixture

    async def _do_initialize(self) -> None:
        self.log.append(f"start {type(self).__name__}")

    async def _do_cleanup(self) -> None:
        self.log.append(f"stop {type(self).__name__}")


class First(Recorder): ...


class Second(Recorder):
    def __init__(self, config: Mapping[str, Any], first: First) -> None:
        super().__init__(config)
        self.first = first


class Third(Recorder):
    def __init__(self, config: Mapping[str, Any], second: Second, first: First, extra: int = 3) -> None:
        super().__init__(config)
        self.second, self.first, self.extra = second, first, extra


class Failing(Recorder):
    async def _do_initialize(self) -> None:
        await super()._do_initialize()
        raise RuntimeError("no luck")


class Stubborn(Recorder):
    async def _do_cleanup(self) -> None:
        await super()._do_cleanup()
        raise RuntimeError("will not stop")


class Left(Recorder):
    def __init__(self, config: Mapping[str, Any], right: Right) -> None:
        super().__init__(config)


class Right(Recorder):
    def __init__(self, config: Mapping[str, Any], left: Left) -> None:
        super().__init__(config)


class Demanding(Recorder):
    def __init__(self, config: Mapping[str, Any], number: int) -> None:
        super().__init__(config)


@pytest.fixture(autouse=True)
def log() -> list[str]:
    Recorder.log.clear()
    return Recorder.log


async def test_each_service_is_built_once_with_its_dependencies(log: list[str]) -> None:
    async with ServiceManager({}) as services:
        third = await services.get_service(Third)
        assert third.first is third.second.first is await services.get_service(First)
        assert third.extra == 3
    assert log == ["start First", "start Second", "start Third", "stop Third", "stop Second", "stop First"]


async def test_start_and_stop_are_idempotent(log: list[str]) -> None:
    service = First({})
    await service.cleanup()
    await service.initialize()
    await service.initialize()
    await service.cleanup()
    await service.cleanup()
    assert log == ["start First", "stop First"]


async def test_a_failed_start_cleans_up_and_may_be_tried_again(log: list[str]) -> None:
    service = Failing({})
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no luck"):
            await service.initialize()
    assert log == ["start Failing", "stop Failing"] * 2


async def test_all_services_are_stopped_though_one_fails(log: list[str]) -> None:
    services = ServiceManager({})
    await services.get_service(First)
    await services.get_service(Stubborn)
    with pytest.raises(ExceptionGroup) as caught:
        await services.cleanup()
    assert [str(error) for error in caught.value.exceptions] == ["will not stop"]
    assert log[-2:] == ["stop Stubborn", "stop First"]


async def test_a_circle_is_named() -> None:
    async with ServiceManager({}) as services:
        with pytest.raises(ServiceError, match="Left -> Right -> Left"):
            await services.get_service(Left)


async def test_a_parameter_that_is_no_service_is_named() -> None:
    async with ServiceManager({}) as services:
        with pytest.raises(ServiceError, match="Demanding asks for number"):
            await services.get_service(Demanding)


async def test_something_that_is_no_service_is_refused() -> None:
    async with ServiceManager({}) as services:
        with pytest.raises(ServiceError, match="must be a concrete subclass of BaseService"):
            await services.get_service(int)  # type: ignore[type-var]
        with pytest.raises(ServiceError, match="must be a concrete subclass of BaseService"):
            await services.get_service(BaseService)  # type: ignore[type-abstract]  # refused at run time


async def test_a_name_belongs_to_one_type() -> None:
    ServiceManager.register_service("test-first", First)
    ServiceManager.register_service("test-first", First)
    with pytest.raises(ServiceError, match="'test-first' belongs to First"):
        ServiceManager.register_service("test-first", Second)
    async with ServiceManager({}) as services:
        assert type(await services.get_service("test-first")) is First
        with pytest.raises(ServiceError, match="no service called 'test-nobody'"):
            await services.get_service("test-nobody")


def test_a_bad_configuration_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="did you mean 'namespace'"):
        ServiceManager({"namespaces": "x"})
    with pytest.raises(ConfigError, match="priority"):
        First({"priority": -3})
