"""Results of jobs that are arguments of others: `after`, `chain`, `group`; whatever fails, expires, is too large or killed."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from naq import JobId, Naq, after, chain, group
from naq.exceptions import InvalidInput, InvalidJob, JobExists, JobFailed
from naq.jobs.ending import Facts, decide
from naq.jobs.job import Job, JobStatus, QueuedJob
from naq.jobs.outcome import returned
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.schedules.service import ScheduleService
from naq.store.codec import decode
from naq.store.nats.bucket import KVStoreService
from tests.queue import functions as own
from tests.queue.test_what_follows import status_of
from tests.worker import functions
from tests.worker.conftest import StartProcess, StartWorker, stream_is_empty, until

HANG = 30.0
PARENT, X = JobId[Any]("parent"), JobId[Any]("x")


async def test_a_job_gets_the_result_of_another_wherever_it_stands_among_its_arguments(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    first = await jobs.enqueue(functions.add, 1, 2)
    second = await jobs.enqueue(functions.add, 10, b=20)
    taken = await jobs.enqueue(
        own.given, after(first), [0, {"deep": [after(second)]}], after([first, second]), word={"x": (after(first), "y")}
    )
    assert await jobs.result(taken, timeout=HANG) == [[3, [0, {"deep": [30]}], [3, 30]], {"word": {"x": [3, "y"]}}]


async def test_a_result_comes_as_the_child_annotates_it_and_nothing_in_it_is_changed(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    order = await jobs.enqueue(own.an_order, 7)
    assert await jobs.result(await jobs.enqueue(own.number_of, after(order)), timeout=HANG) == 7
    exact = [1e300, 0.1, 2**60, '\u00e9"\\', None, [], {"a": {}}]
    parent = await jobs.enqueue(own.given, exact)
    child = await jobs.enqueue(own.given, after(parent))
    assert await jobs.result(child, timeout=HANG) == [[[[exact], {}]], {}]


async def test_a_taken_result_may_expire_before_its_job_runs(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    short = await jobs.enqueue(Job(func=functions.add, args=[1], result_ttl=1))
    long = await jobs.enqueue(functions.hold, "long")
    last = await jobs.enqueue(own.given, after(short), after(long))
    await functions.event(functions.started, "long").wait()

    async def expired() -> bool:
        return await jobs.results.get(short) is None

    await until(expired)
    functions.event(functions.released, "long").set()
    assert await jobs.result(last, timeout=HANG) == [[1, "long"], {}]


async def test_a_job_that_takes_a_result_which_has_expired_fails_and_says_so(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    short = await jobs.enqueue(Job(func=functions.add, args=[1], result_ttl=1))
    await jobs.wait(short, timeout=HANG)

    async def expired() -> bool:
        return await jobs.results.get(short) is None

    await until(expired)
    late = await jobs.enqueue(own.given, after(short))
    with pytest.raises(JobFailed, match=f"{short} completed, but its result is no longer kept"):
        await jobs.result(late, timeout=HANG)
    assert await jobs.requeue(late)
    assert (await jobs.wait(late, timeout=HANG)).error_type == "DependencyNotMet"
    follows = await jobs.enqueue(Job(func=functions.add, args=[5], depends_on=[short]))
    assert await jobs.result(follows, timeout=HANG) == 5, "that it ended is known for longer than what it returned"


@pytest.mark.parametrize(
    ("func", "args", "error"),
    [
        (functions.not_json, (), "completed, but its result was not stored: "),
        (functions.large, (1_100_000,), r"with the results that it takes \(parent: 1100002 bytes\)"),
    ],
)
async def test_a_result_that_cannot_be_taken_fails_the_job_that_wants_it_and_no_other(
    jobs: JobService, start_worker: StartWorker, func: Any, args: tuple[Any, ...], error: str
) -> None:
    await jobs.enqueue(Job(func=func, args=args, job_id="parent"))
    taker = await jobs.enqueue(own.given, after(PARENT))
    other = await jobs.enqueue(Job(func=functions.add, args=[1], depends_on=["parent"]))
    await start_worker()
    with pytest.raises(JobFailed, match=error):
        await jobs.result(taker, timeout=HANG)
    assert await jobs.result(other, timeout=HANG) == 1


async def test_a_large_result_that_fits_is_taken_though_it_is_stored_in_parts(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    parent = await jobs.enqueue(functions.large, 700_000)
    during = await jobs.enqueue(functions.length, after(parent))
    await jobs.wait(parent, timeout=HANG)
    afterwards = await jobs.enqueue(functions.length, after(parent))
    assert [await jobs.result(each, timeout=HANG) for each in (during, afterwards)] == [700_000, 700_000]


async def test_a_chain_a_group_and_a_join(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    ids = await jobs.enqueue_many(chain(Job(func=functions.add, args=[1, 2]), Job(func=functions.add, args=[10])))
    assert [await jobs.result(each, timeout=HANG) for each in ids] == [3, 13]
    joined = group(*[Job(func=functions.add, args=[number]) for number in range(20)]).then(own.total)
    assert await jobs.result((await jobs.enqueue_many(joined))[-1], timeout=HANG) == 190
    assert await jobs.result((await jobs.enqueue_many(joined))[-1], timeout=HANG) == 190, "it can be enqueued again"
    nested = chain(
        Job(func=functions.add, args=[1]), group(functions.add, chain(functions.add, functions.add)), own.given
    )
    assert await jobs.result((await jobs.enqueue_many(nested))[-1], timeout=HANG) == [[[1, 1]], {}]
    assert await jobs.result((await jobs.enqueue_many(group().then(own.total)))[-1], timeout=HANG) == 0


async def test_a_flow_is_enqueued_as_a_whole_or_not_at_all(jobs: JobService) -> None:
    await jobs.enqueue(Job(func=functions.add, args=[1], job_id="taken", depends_on=["never"]))
    flow = chain(Job(func=functions.add, args=[1], job_id="one"), Job(func=functions.add, job_id="taken"))
    with pytest.raises(JobExists, match="taken"):
        await jobs.enqueue_many(flow)
    assert await jobs.get("one") is None
    with pytest.raises(InvalidJob, match="too many"):
        await jobs.enqueue_many(
            group(*[Job(func=functions.add, args=[1], job_id=f"g{n}") for n in range(600)]).then(own.total)
        )
    assert await jobs.get("g0") is None


async def test_a_failed_chain_that_is_queued_again_passes_its_results_on(
    jobs: JobService, start_worker: StartWorker
) -> None:
    worker = await start_worker()
    first = await jobs.enqueue(Job(func=functions.fail_until, args=[2], job_id="first"))
    second = await jobs.enqueue(Job(func=functions.add, args=[after(first), 10], job_id="second"))
    third = await jobs.enqueue(Job(func=own.given, args=[after(second), after(first)], job_id="third"))
    for job_id in (first, second, third):
        with pytest.raises(JobFailed):
            await jobs.result(job_id, timeout=HANG)
    await worker.cleanup()
    assert await jobs.requeue_all() == 3
    assert await status_of(jobs, third) is JobStatus.DEFERRED
    await start_worker(instance_id="again")
    assert await jobs.result(third, timeout=HANG) == [[12, 2], {}]


async def test_a_job_that_is_queued_again_without_the_one_whose_result_it_takes_does_not_run_without_it(
    jobs: JobService, services: ServiceManager, kv: KVStoreService, start_worker: StartWorker
) -> None:
    await start_worker()
    first = await jobs.enqueue(Job(func=functions.fail_until, args=[2], job_id="first"))
    second = await jobs.enqueue(Job(func=functions.add, args=[after(first)], job_id="second"))
    await jobs.wait(second, timeout=HANG)
    assert await jobs.requeue(second)
    assert (await jobs.wait(second, timeout=HANG)).error == "first ended as failed, not succeeded"
    assert await jobs.requeue(first)
    assert await jobs.result(first, timeout=HANG) == 2
    assert await jobs.requeue(second)
    assert await jobs.result(second, timeout=HANG) == 2, "it completed meanwhile"
    await until(lambda: stream_is_empty(services, kv))
    await jobs.results.forget(first)
    third = await jobs.enqueue(Job(func=functions.add, args=[after(first)], job_id="third", depends_on=["other"]))
    await jobs.enqueue(Job(func=functions.fail, job_id="other"))
    await jobs.wait(third, timeout=HANG)
    assert await jobs.requeue(third)
    assert "no longer kept" in ((await jobs.wait(third, timeout=HANG)).error or "")


async def test_what_cannot_take_a_result_is_refused_before_anything_is_written(
    jobs: JobService, services: ServiceManager, kv: KVStoreService
) -> None:
    schedules = await services.get_service(ScheduleService)
    with pytest.raises(InvalidJob, match="depends_when"):
        await jobs.enqueue(Job(func=own.given, args=[after(X)], depends_when="ended"))
    with pytest.raises(InvalidJob, match="do not fit"):
        await jobs.enqueue(functions.add, after(X), 1, 2)
    with pytest.raises(InvalidJob, match="only of a job that is enqueued"):
        await jobs.enqueue(own.given, {after(X)})
    with pytest.raises(InvalidJob, match="only of a job that is enqueued"):
        await schedules.schedule_job(Job(func=own.given, args=[after(X)]), {"interval": 60})
    with pytest.raises(InvalidInput, match="an id is letters"):
        after(JobId[Any]("no such id!"))
    assert not [keys async for keys in kv.keys(">") if any(key.startswith(("job.", "deferred.")) for key in keys)]


async def test_results_are_passed_on_by_application_client_and_synchronous_client(
    config: dict[str, Any], start_worker: StartWorker
) -> None:
    await start_worker()
    async with Naq(**config) as app:
        first = await app.enqueue(functions.add, 1, 2)
        assert await app.result(await app.enqueue(functions.add, after(first), b=after(first)), HANG) == 6
        flow = chain(Job(func=functions.add, args=[1]), functions.add)

        def synchronous() -> list[int]:
            with app.sync as naq:
                return [
                    naq.result(naq.enqueue(functions.add, after(first)), HANG),
                    naq.result(naq.enqueue_many(flow)[-1], HANG),
                ]

        assert await asyncio.to_thread(synchronous) == [3, 1]


async def test_results_come_as_annotated_from_application_client_and_service(
    config: dict[str, Any], jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    order = functions.Order(7, datetime(2026, 3, 1, tzinfo=UTC))
    job_id = await jobs.enqueue(own.an_order, 7)
    assert await jobs.result(job_id, timeout=HANG) == order
    async with Naq(**config) as app:
        assert await app.result(job_id, HANG) == {"number": 7, "at": "2026-03-01T00:00:00Z"}, (
            "it does not know the function"
        )
        app.job(own.an_order)
        assert await app.result(job_id, HANG) == order
        info = await app.get_job(job_id)
        assert info is not None
        assert info.value == {"number": 7, "at": "2026-03-01T00:00:00Z"}
        assert await asyncio.to_thread(app.sync.result, job_id, HANG) == order
        app.sync.close()


async def test_what_waits_for_a_job_is_released_at_once_when_the_job_is_handed_out_again(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    """As when its worker was killed after it wrote the result, and before it looked who waits for that."""
    parent = await jobs.enqueue(Job(func=functions.add, args=[1], job_id="parent"))
    child = await jobs.enqueue(own.given, after(parent))
    (entry,) = (await kv.get_many(["job.*.parent"])).values()
    queued = decode(QueuedJob, entry.key, entry.value or b"")
    facts = Facts("killed", jobs.clock.now(), jobs.clock.now())
    result = decide(queued, returned(41), facts).result
    assert result is not None
    await jobs.results.write([result], [60])
    await start_worker()
    assert await jobs.result(child, timeout=20) == [[41], {}], "and not only by the sweep after 30 s"


@pytest.mark.slow
async def test_chains_and_joins_are_exact_while_workers_are_killed(
    jobs: JobService, start_process: StartProcess, tmp_path: Path
) -> None:
    """Each job's value says which jobs came before it, so a lost or doubled result is seen."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    drawn = random.Random(seed)
    options = {"ack_wait": 2, "concurrency": 8, "allow_functions": ["tests.queue.functions:*"]}
    workers = [await start_process(**options) for _ in range(3)]
    flows = [
        group(
            *[
                chain(Job(func=own.visited, args=[[], f"{n}.{m}"]), *[own.visited] * drawn.randint(1, 3))
                for m in range(4)
            ]
        ).then(own.given)
        for n in range(25)
    ]
    ids = [await jobs.enqueue_many(flow) for flow in flows]
    for turn in range(4):
        await asyncio.sleep(0.3)
        await workers[turn % 3].kill()
        workers[turn % 3] = await start_process(**options)
    for flow, made in zip(flows, ids, strict=True):
        (paths,), _ = await jobs.result(made[-1], timeout=60)
        assert len(made) == sum(map(len, paths)) + 1, seed
        assert [path[0] for path in paths] == [job.args[1] for job in flow if len(job.args) == 2], seed
