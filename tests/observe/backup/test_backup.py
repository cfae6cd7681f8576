# ruff: noqa: ASYNC240 - the files are small, and nobody waits
"""Backups that are made while everybody writes, and what a restore makes of them."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from naq.exceptions import InvalidInput
from naq.lifecycle import ServiceManager
from naq.observe.backup.file import survey
from naq.observe.backup.making import BackupService
from naq.observe.backup.restoring import RestoreService
from naq.observe.backup.walk import Walk
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.direct_get import Whole
from naq.store.port import Committed, Delete, Entry, Put

KEYS = [f"schedule.s{number}" for number in range(50)]
WALKS = 2
SCHEDULES = 200


@contextlib.asynccontextmanager
async def meanwhile(work: Callable[[], Any]) -> AsyncIterator[None]:
    """``work`` is done again and again while the block runs."""
    enough = asyncio.Event()

    async def again() -> None:
        while not enough.is_set():
            await work()

    task = asyncio.create_task(again())
    try:
        await asyncio.sleep(0)
        yield
    finally:
        enough.set()
        await task


async def test_a_walk_sees_every_transaction_whole_or_not_at_all(services: ServiceManager) -> None:
    """Fifty keys are overwritten with one number, all at once, all the time: a walk must end with one number for all."""
    kv = await services.get_service(KVStoreService)
    revisions = dict.fromkeys(KEYS, 0)
    number = 0

    async def overwrite() -> None:
        nonlocal number
        number += 1
        outcome = await kv.transact([Put(key, str(number).encode(), revisions[key]) for key in KEYS])
        assert isinstance(outcome, Committed)
        revisions.update(zip(KEYS, outcome.revisions, strict=True))

    await overwrite()
    for _ in range(WALKS):
        async with meanwhile(overwrite):
            walk, seen = Walk(kv), dict[str, bytes | None]()
            async for page in walk.pages():
                seen |= {each.entry.key: each.entry.value for each in page}
        numbers = {seen.get(key) for key in KEYS}
        assert len(numbers) == 1, (sorted(map(str, numbers)), number)


T0 = datetime(2030, 1, 1, tzinfo=UTC)


class Script:
    """A bucket and its reader at once: what each read finds is given, and so is the sequence of each mark."""

    max_value = 1000

    def __init__(self, reads: list[list[tuple[str, int, int | None]]], marks: list[int]) -> None:
        self._reads = reads
        self._marks = marks

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        return self._marks.pop(0)

    async def scan_whole(self, pattern: str, after: int, most_bytes: int) -> AsyncIterator[list[Whole]]:
        yield [
            Whole(Entry(key, b"v", sequence), T0 + timedelta(seconds=sequence), None, expected)
            for key, sequence, expected in self._reads.pop(0)
        ]


@pytest.mark.parametrize(
    ("later", "at", "keys"),
    [
        ([("schedule.a", 6, 1)], 5, ["schedule.a"]),
        ([("schedule.b", 6, 0)], 5, ["schedule.a"]),
        ([("lease.0", 6, 3)], 5, ["schedule.a"]),
        ([("schedule.b", 6, 2)], 7, ["schedule.a", "schedule.b"]),
        ([("dead.b", 6, None)], 7, ["schedule.a", "dead.b"]),
        ([("schedule.b", 6, 4)], 7, ["schedule.a", "schedule.b"]),
    ],
    ids=["it was read", "it is new", "it is passing", "it was overwritten unread", "nobody knows", "twice unread"],
)
async def test_a_moment_counts_only_if_nothing_of_it_was_overwritten_unread(
    later: list[tuple[str, int, int | None]], at: int, keys: list[str]
) -> None:
    """The walk reads a at 1, its mark at 5, what came later, its mark at 7, and if it needs one more, the mark at 9."""
    marks = [("backup.t-1", 5, None), ("backup.t-2", 7, None), ("backup.t-3", 9, None)]
    script = Script([[("schedule.a", 1, 0)], [marks[0], *later], [marks[1]], [marks[2]]], [5, 7, 9])
    walk = Walk(script)
    seen = [each.entry.key async for page in walk.pages() for each in page]
    assert walk.at == T0 + timedelta(seconds=at)
    assert [key for key in seen if not key.startswith("backup.")] == keys


async def test_everything_is_restored_as_it_was(
    services: ServiceManager, config: dict[str, Any], tmp_path: Path
) -> None:
    kv = await services.get_service(KVStoreService)
    await kv.transact(
        [Put("schedule.a", b"{}"), Put("job.default.x", b'{"a": "\xc3\xa4"}'), Put("dead.y", b"\xff\x00")]
    )
    await kv.transact(
        [Put("waiting.p.q", b"1"), Put("lease.0", b"{}"), Put("worker.w", b"{}"), Put("watch.app", b"{}")]
    )
    await kv.transact([Delete("waiting.p.q"), Put("watch.app.failed", b"{}", ttl=3600), Put("deferred.z.1", b"2")])
    for path in ("first.gz", "second.gz"):
        await (await services.get_service(BackupService)).make(tmp_path / path)
    async with ServiceManager({**config, "namespace": f"{config['namespace']}-2"}) as others:
        await (await others.get_service(RestoreService)).restore(tmp_path / "second.gz")
        restored = await others.get_service(KVStoreService)
        found = {key: entry.value async for page in restored.scan(">") for key, entry in ((e.key, e) for e in page)}
    assert {key: value for key, value in found.items() if value is not None} == {
        "schedule.a": b"{}",
        "job.default.x": b'{"a": "\xc3\xa4"}',
        "dead.y": b"\xff\x00",
        "watch.app.failed": b"{}",
        "deferred.z.1": b"2",
    }


@pytest.fixture
async def file(services: ServiceManager, tmp_path: Path) -> Path:
    """A backup of a few records."""
    kv = await services.get_service(KVStoreService)
    await kv.transact([Put(key, b"{}") for key in KEYS])
    path = tmp_path / "naq-backup.gz"
    await (await services.get_service(BackupService)).make(path)
    return path


@pytest.fixture
async def target(config: dict[str, Any]) -> AsyncIterator[ServiceManager]:
    """An empty namespace."""
    async with ServiceManager({**config, "namespace": f"{config['namespace']}-2"}) as others:
        yield others


def changed(file: Path, change: Callable[[bytes], bytes]) -> Path:
    """The same file, with other content."""
    other = file.with_name("changed.gz")
    other.write_bytes(gzip.compress(change(gzip.decompress(file.read_bytes()))))
    return other


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text[: text.rindex(b'{"at"')], "its end is missing"),
        (lambda text: text.replace(b"schedule.s7", b"schedule.s8", 1), "its checksum does not fit"),
        (lambda text: text.replace(b'"naq_backup":1', b'"naq_backup":2', 1), "a newer naq wrote it"),
        (lambda text: b"hello", "is no whole backup of naq"),
        (lambda text: text + b"{}\n", "something follows its last line"),
    ],
    ids=["cut off", "changed", "newer", "something else", "longer"],
)
async def test_a_file_that_is_not_whole_is_refused_before_anything_is_written(
    file: Path, target: ServiceManager, change: Callable[[bytes], bytes], complaint: str
) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        await (await target.get_service(RestoreService)).restore(changed(file, change))
    connection = await target.get_service(ConnectionService)
    assert await connection.stream_service.info(f"KV_{target.settings.namespace}") is None


async def test_half_of_a_compressed_file_is_no_backup(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidInput, match="is no whole backup"):
        survey(file)


async def test_a_namespace_that_is_used_is_not_restored_into(file: Path, target: ServiceManager) -> None:
    restorer = await target.get_service(RestoreService)
    await (await target.get_service(KVStoreService)).put("schedule.other", b"{}")
    with pytest.raises(InvalidInput, match=r"it is not empty \(KV_\S+ holds 1 messages\)"):
        await restorer.restore(file)


class Interrupted(Exception):
    """The restore ends here, as a kill has it."""


async def test_a_restore_that_was_interrupted_begins_again(file: Path, target: ServiceManager, tmp_path: Path) -> None:
    def stop(count: int) -> None:
        raise Interrupted

    restorer, kv = await target.get_service(RestoreService), await target.get_service(KVStoreService)
    with pytest.raises(Interrupted):
        await restorer.restore(file, progress=stop)
    assert await kv.get("schedule.s0") is not None
    assert await kv.get("restoring") is not None
    other = tmp_path / "other.gz"
    other.write_bytes(gzip.compress(b"".join(gzip.decompress(file.read_bytes()).splitlines(True)[:1])))
    with pytest.raises(InvalidInput, match="its end is missing"):
        await restorer.restore(other)
    await kv.put("worker.w", b"{}")
    with pytest.raises(InvalidInput, match="1 workers are at work in it"):
        await restorer.restore(file)
    await kv.delete("worker.w")
    await kv.put("schedule.of-a-scheduler-that-was-started", b"{}")
    await restorer.restore(file)
    assert await kv.get("restoring") is None
    assert sorted(key for page in [page async for page in kv.keys(">")] for key in page) == sorted(KEYS)


async def test_what_expires_has_the_time_left_that_it_had(
    services: ServiceManager, target: ServiceManager, tmp_path: Path
) -> None:
    kv = await services.get_service(KVStoreService)
    await kv.put("alert.shop.failed.x", b"{}", ttl=3600)
    path = tmp_path / "naq-backup.gz"
    await (await services.get_service(BackupService)).make(path)
    await (await target.get_service(RestoreService)).restore(path)
    restored = await target.get_service(KVStoreService)
    ttl = [each.ttl async for page in restored.scan_whole("alert.>", 0, 1 << 20) for each in page]
    assert len(ttl) == 1
    assert 3500 < (ttl[0] or 0) <= 3600


async def test_a_backup_replaces_no_file_and_leaves_none_behind_when_it_fails(
    services: ServiceManager, file: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    before, maker = file.read_bytes(), await services.get_service(BackupService)
    with pytest.raises(InvalidInput, match="exists already"):
        await maker.make(file)
    assert file.read_bytes() == before
    async with ServiceManager({**config, "namespace": "nowhere"}) as others:
        with pytest.raises(InvalidInput, match="there is no such namespace"):
            await (await others.get_service(BackupService)).make(tmp_path / "nowhere.gz")

    def stop(count: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        await maker.make(tmp_path / "stopped.gz", progress=stop)
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
