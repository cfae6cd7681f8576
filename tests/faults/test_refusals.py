"""The store refuses: its stream is full, its disk is full, the permission is taken away. Told once, waited out, gone on with."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fleet import Fleet, fleet, now
from tests.faults.report import Reports

COUNT = 50
FOR = 5.0
"""Seconds for which the store refuses."""
TOLD = 4
"""Times that one instance may say what is wrong in that time: of firing and of the lease, and once more in other words."""
DISK = 64
"""Megabytes of the disk that is filled."""
BIG = 'jetstream { store_dir: ".", max_file_store: 1GB }'
"""The server believes in a disk that is larger than the real one."""


async def judged(those: Fleet, reports: Reports, fault: str, struck_at: datetime, healed_at: datetime) -> None:
    """Wait until all is as before, report, and hold it to the promises."""
    verdict = await those.settled()
    events = await those.schedules._events.get_event_history(types=["store_trouble"], since=struck_at)
    said = Counter(event.instance_id for event in events)
    healing = those.recorder.steady_after(healed_at)
    reports.write(fault, verdict, those.recorder, healing=[healing], told=dict(said))
    assert verdict.clean, verdict
    assert said, "nobody said anything"
    assert all(times <= TOLD for times in said.values()), said


async def refused_for_a_while(those: Fleet) -> None:
    """Nothing is enqueued for `FOR` seconds."""
    before = len(those.recorder.fires)
    await those.schedules.clock.sleep(1.0)
    under_way = len(those.recorder.fires)
    await those.schedules.clock.sleep(FOR - 1.0)
    assert len(those.recorder.fires) == under_way, f"{before}: it was not refused"


@pytest.mark.slow
async def test_a_stream_that_is_full(tmp_path: Path, reports: Reports) -> None:
    async with fleet(tmp_path) as those:
        await those.load(COUNT)
        connection = those.schedules._connection
        info = await connection.api("STREAM.INFO.KV_naq")
        struck_at = now()
        await connection.api("STREAM.UPDATE.KV_naq", {**info["config"], "max_bytes": info["state"]["bytes"]})
        await refused_for_a_while(those)
        healed_at = now()
        await connection.api("STREAM.UPDATE.KV_naq", {**info["config"], "max_bytes": -1})
        await judged(those, reports, "stream full for 5 s", struck_at, healed_at)


def users(denied: str = "") -> str:
    rule = f', permissions: {{ publish: {{ deny: ["{denied}"] }} }}' if denied else ""
    return (
        f"authorization {{ users: [{{ user: naq, password: secret{rule} }}, {{ user: watcher, password: secret }}] }}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["$KV.naq.job.>", "$KV.naq.>"])
async def test_a_permission_that_is_taken_away(tmp_path: Path, reports: Reports, subject: str) -> None:
    login = {"nats_user": "watcher", "nats_password": "secret"}
    mine: dict[str, Any] = {"nats_user": "naq", "nats_password": "secret"}
    async with fleet(tmp_path, server_config=users(), login=login, **mine) as those:
        await those.load(COUNT)
        struck_at = now()
        await those.server.reload(users(subject))
        await refused_for_a_while(those)
        healed_at = now()
        await those.server.reload(users())
        await judged(those, reports, f"no permission to write {subject} for 5 s", struck_at, healed_at)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of `DISK` megabytes that nothing else is on."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "none", str(place)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine does not let us mount a small disk: {error}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(ballast: Path) -> None:
    """Leave no byte free."""
    with ballast.open("wb", buffering=0) as file:
        try:
            for size in (1 << 20, 4096, 1):
                while file.write(b"\0" * size):
                    pass
        except OSError:
            return


@pytest.mark.slow
async def test_a_disk_that_is_full(small_disk: Path, reports: Reports) -> None:
    """The server switches JetStream off then, and needs a restart when there is room; naq needs none."""
    async with fleet(small_disk, server_config=BIG) as those:
        await those.load(COUNT)
        struck_at = now()
        ballast = small_disk / "ballast"
        await asyncio.to_thread(fill, ballast)
        await refused_for_a_while(those)
        ballast.unlink()
        await those.server.restart()
        healed_at = now()
        await judged(those, reports, "disk full for 5 s, then the server restarted", struck_at, healed_at)
