"""Applications in real programs: event loops one after the other, forked children, programs that end without `close`."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from naq.services import describe

HEADER = """
import asyncio, multiprocessing, os, sys
from naq import Naq
from naq.services import describe

app = Naq()


async def send(region: str) -> str:
    return region

"""


def run(tmp_path: Path, body: str) -> subprocess.CompletedProcess[str]:
    """A program on an embedded server of its own, to its end."""
    module = tmp_path / "shop.py"
    module.write_text(HEADER + textwrap.dedent(body))
    return subprocess.run(
        [sys.executable, str(module)],
        env={**os.environ, "NAQ_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(params=["sync", "async"])
def ends_without_close(request: pytest.FixtureRequest) -> str:
    return {
        "sync": "print(app.sync.enqueue(send, 'eu') != '')",
        "async": "print(asyncio.run(app.enqueue(send, 'eu')) != '')",
    }[request.param]


def test_a_program_that_ends_without_close_leaves_no_server_and_says_nothing(
    ends_without_close: str, tmp_path: Path
) -> None:
    done = run(tmp_path, ends_without_close)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert describe(tmp_path / "data") is None


def test_a_second_asyncio_run_works_with_the_same_application(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
        first = asyncio.run(app.enqueue(send, "eu"))

        async def second() -> None:
            info = await app.get_job(first)
            print(info.status)
            await app.close()

        asyncio.run(second())
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "queued\n", "")
    assert describe(tmp_path / "data") is None


def test_another_event_loop_that_runs_is_told_at_once(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
        import threading
        from naq import ServiceError

        async def main() -> None:
            await app.list_schedules()
            await asyncio.to_thread(elsewhere)
            await app.close()

        def elsewhere() -> None:
            try:
                asyncio.run(app.list_schedules())
            except ServiceError as error:
                print(error)

        asyncio.run(main())
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "connected in another event loop, which still runs" in done.stdout


@pytest.mark.parametrize("warm", [True, False], ids=["after a call", "before the first"])
def test_a_forked_child_has_a_connection_of_its_own(warm: bool, tmp_path: Path) -> None:
    """Web servers fork after the application was imported, and often after it was used."""
    done = run(
        tmp_path,
        f"""
        job_id = app.sync.enqueue(send, "eu") if {warm} else None

        def child() -> None:
            mine = app.sync.enqueue(send, "us")
            print("child", app.sync.get_job(mine).status, flush=True)
            app.sync.close()

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(20)
        print("parent", process.exitcode, len(app.sync.list_jobs(status="queued")))
        app.sync.close()
        """,
    )
    assert done.stdout == f"child queued\nparent 0 {2 if warm else 1}\n", done.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert describe(tmp_path / "data") is None


def test_the_parent_goes_on_after_its_child_was_forked(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
        app.sync.enqueue(send, "eu")
        pid = os.fork()
        if pid == 0:
            app.sync.enqueue(send, "us")
            app.sync.close()
            os._exit(0)
        for _ in range(20):
            app.sync.enqueue(send, "asia")
        print(os.waitpid(pid, 0)[1], len(app.sync.list_jobs(status="queued")))
        app.sync.close()
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 22\n", "")
