"""What jobs get from their worker besides arguments: resources by type, and the hooks around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from naq import Job, JobContext, Middleware, Naq, resource
from naq.exceptions import JobFailed, ServiceError
from naq.jobs.functions import Registry
from naq.jobs.job import JobSpec
from naq.jobs.target import make_target
from naq.queue.service import JobService
from naq.worker.execution.resources import Resources
from tests.worker.conftest import HANG, StartWorker


class Pool:
    def __init__(self, name: str) -> None:
        self.name = name
        self.open = True


class Fast(Pool):
    """A subclass is found by its base, too."""


class Client:
    """Nothing makes one."""


seen: list[Any] = []


async def asks(region: str, pool: Pool = resource) -> str:
    assert pool.open
    return f"{region} from {pool.name}"


def asks_beside(context: JobContext, region: str, *, pool: Pool = resource) -> str:
    assert pool.open
    return f"{region} from {pool.name} for {context.queue}"


async def asks_for_more(client: Client = resource) -> None:
    """Cannot be run."""


async def connect() -> Pool:
    await asyncio.sleep(0)
    return Pool("db")


def close(pool: Pool) -> None:
    pool.open = False
    seen.append(f"closed {pool.name}")


def registry(*functions: Callable[..., Any]) -> Registry:
    made = Registry()
    for each in functions:
        made.add(each)
    return made


async def test_a_job_gets_the_pool_that_was_opened_when_its_worker_started(
    jobs: JobService, start_worker: StartWorker
) -> None:
    seen.clear()
    worker = await start_worker(registry=registry(asks, asks_beside), on_start=[connect], on_stop=[close])
    assert await jobs.result(await jobs.enqueue(asks, "eu"), timeout=HANG) == "eu from db"
    assert await jobs.result(await jobs.enqueue(asks_beside, "us"), timeout=HANG) == "us from db for default"
    assert seen == []
    await worker.stop()
    assert seen == ["closed db"]


async def test_a_job_whose_resource_nothing_makes_is_a_dead_letter_that_says_so(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker(registry=registry(asks_for_more, asks), on_start=[connect])
    with pytest.raises(JobFailed, match=r"parameter 'client' .*on_worker_start that returns Client"):
        await jobs.result(await jobs.enqueue(asks_for_more), timeout=HANG)
    with pytest.raises(JobFailed, match="process of its own cannot be given any"):
        await jobs.result(await jobs.enqueue(Job(func=asks, args=["eu"], executor="process")), timeout=HANG)


async def test_hooks_get_the_resources_that_were_made_before_and_stop_in_reverse() -> None:
    seen.clear()

    def fast(pool: Pool) -> Fast:
        return Fast(f"{pool.name} and more")

    def first_out(fast: Fast) -> None:
        seen.append(fast.name)

    def broken(pool: Pool) -> None:
        raise OSError("cannot close")

    resources = Resources([connect, fast], [close, broken, first_out])
    await resources.start()
    target = make_target("tests:asks", asks)
    assert [value.name for value in resources.of(target, "auto").values()] == ["db"]
    await resources.stop()
    assert seen == ["db and more", "closed db"]


async def test_a_worker_whose_start_hook_raises_does_not_start_and_closes_what_was_opened() -> None:
    seen.clear()

    def refuses() -> None:
        raise ConnectionError("no such host")

    resources = Resources([connect, refuses], [close])
    with pytest.raises(ConnectionError):
        await resources.start()
    assert seen == ["closed db"]

    def wants(client: Client) -> None:
        """Cannot be called."""

    with pytest.raises(ServiceError, match="wants cannot be called"):
        await Resources([wants], []).start()


class Recorder(Middleware):
    """Keeps what it is told."""

    async def before(self, context: JobContext) -> None:
        seen.append((context.func.rpartition(":")[2], context.args, sorted(context.kwargs)))


async def test_middleware_and_hooks_of_an_application_are_used_by_its_worker(
    config: dict[str, Any], jobs: JobService
) -> None:
    seen.clear()
    app = Naq(middleware=[Recorder()], weights={"default": 2}, **config)
    app.job(asks)
    app.on_worker_start(connect)
    app.on_worker_stop(close)
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(app.run(scheduler=False, stop=stop, ready=lambda services: ready.set()))
    async with asyncio.timeout(HANG):
        await ready.wait()
    job_id = await app.enqueue(asks, "eu")
    assert await app.result(job_id, timeout=HANG) == "eu from db"
    stop.set()
    await running
    await app.close()
    assert seen == [("asks", ("eu",), ["pool"]), "closed db"]


def test_a_parameter_that_is_given_is_not_filled_in() -> None:
    spec = JobSpec(func="a:b", args=JobSpec(func="a:b").args)
    target = make_target("tests:asks", asks)
    assert target.parameters.resources == {"pool": Pool}
    assert target.arguments(spec) == ([], {})
