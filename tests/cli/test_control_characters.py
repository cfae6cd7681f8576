"""Text that others wrote reaches the operator's terminal as text: it sets no colour, rings no bell and forges no line."""

from __future__ import annotations

import ast
import asyncio
import io
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

import naq.cli
from naq.cli import render
from naq.cli.log_lines import LineFormatter
from naq.cli.say import say
from naq.clock import SystemClock
from naq.jobs.job import Job
from naq.jobs.records import WorkerInfo
from naq.lifecycle import ServiceManager
from naq.observe.alerts.alert import Alert, AlertKind, AlertRecord
from naq.printable import printable
from naq.queue.service import JobService
from naq.schedules.service import ScheduleService
from naq.store.codec import encode
from naq.store.keys import alert_key, schedule_key, worker_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Put
from tests.cli.conftest import Command, Start

BAD = "\x1b[31m\x07\x9b2J\u202e\r\n2030-01-01 FORGED"
"""A colour, the bell, a control of C1, a mark that turns the line around, and a line break with a line of its own."""
SHOWN = r"\x1b[31m\x07\x9b2J\u202e\r\n2030-01-01 FORGED"
T = datetime(2030, 1, 1, tzinfo=UTC)

APPLICATION = f"""
import logging
from naq import Naq

app = Naq()
BAD = {BAD!r}

@app.job
async def fail(argument):
    logging.getLogger("shop").error("logged" + BAD)
    raise RuntimeError("error" + BAD)

@app.job
async def give(argument):
    return "returned" + BAD
"""


def bad_lines(said: str) -> list[str]:
    """What would reach the terminal: lines with a control in them, and lines that a text began."""
    return [
        line
        for line in said.split("\n")
        if line.startswith("2030-01-01 FORGED") or set(line) & set("\x1b\x07\x9b\u202e\r")
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 日本 👍🏽 \\n", "plain ünïcode 日本 👍🏽 \\n"),
        ("\x00\t\x7f\x85", r"\x00\t\x7f\x85"),
        ("a\u2028b\u2029\u2066\u200f", r"a\u2028b\u2029\u2066\u200f"),
        ("\udc9b", r"\udc9b"),
        (BAD, SHOWN),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_text_of_several_lines_begins_no_line() -> None:
    assert printable(f"one\n\ttwo{BAD}\n", lines=True).splitlines() == [
        "one",
        r"            two\x1b[31m\x07\x9b2J\u202e\r",
        "    2030-01-01 FORGED",
    ]


def test_tables_keep_their_columns_and_colours(capsys: pytest.CaptureFixture[str]) -> None:
    render.show_table(f"title{BAD}", ("a", "b"), [(f"x{BAD}", Text(f"y{BAD}", style="red"))], "")
    render.show_fields(f"title{BAD}", [(f"name{BAD}", f"value{BAD}"), ("trace", render.Block(f"one{BAD}"))])
    render.show_line("line", Text(BAD, style="bold"))
    say(f"said{BAD}")
    said = capsys.readouterr().out
    assert not bad_lines(said)
    assert f"x{SHOWN}" in said
    assert r"y\x1b[31m\x9b2J\u202e\n2030-01-01 FORGED" in said, "rich drops the bell and the carriage return itself"


def test_a_style_stays_with_its_letters() -> None:
    shown = render._plain(Text.assemble("\x1b", ("red", "red"), "\n"))
    assert (shown.plain, shown.spans[0].start, shown.spans[0].end) == (r"\x1bred\n", 4, 7)


def test_logs_are_one_line_a_record() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    try:
        raise ValueError(f"error{BAD}")
    except ValueError as error:
        record = logging.LogRecord("naq", logging.ERROR, "", 0, "job %s", (BAD,), (type(error), error, None))
    handler.handle(record)
    said = stream.getvalue()
    assert not bad_lines(said)
    first, *trace = said.rstrip("\n").split("\n")
    assert first == f"ERROR job {SHOWN}"
    assert trace
    assert all(line.startswith("    ") for line in trace)


async def _bad_world(config: dict[str, Any]) -> None:
    """A schedule, jobs, records of a worker and an alert, with bad text in all that a user or a program may set."""
    async with ServiceManager(config) as services:
        schedules, jobs = await services.get_service(ScheduleService), await services.get_service(JobService)
        store = await services.get_service(KVStoreService)
        job = Job(func="shop:give", args=(f"argument{BAD}",))
        await schedules.schedule_job(
            job, {"cron": "0 0 1 1 *"}, schedule_id="s", labels={"label": f"label{BAD}"}, note=f"note{BAD}"
        )
        await schedules.pause_scheduled_job("s", reason=f"paused{BAD}", actor=f"actor{BAD}")
        for name, func in (("failed", "shop:fail"), ("given", "shop:give")):
            await jobs.enqueue(Job(func=func, args=(f"argument{BAD}",), job_id=name))
        await jobs.enqueue(Job(func="shop:give", args=("",), job_id="cancelled", queue="unserved"))
        await jobs.cancel("cancelled", reason=f"cancelled{BAD}")
        now = SystemClock().now()
        info = WorkerInfo(worker_id="bad", host=f"host{BAD}", queues=(f"queue{BAD}",), started_at=now, seen_at=now)
        alert = Alert(
            kind=AlertKind.FIRED, name=f"name{BAD}", application="shop", rule=f"rule{BAD}", subject=f"subject{BAD}",
            since=T, at=T, reason=f"why{BAD}",
        )  # fmt: skip
        await store.transact(
            [
                Put(worker_key("bad"), encode(info)),
                Put(alert_key("shop", "bad", "s"), encode(AlertRecord(alert=alert))),
                Put(schedule_key("broken"), f'{{"bad{BAD}": 1}}'.encode()),
            ]
        )


SEEN = {
    ("job", "show", "failed"): ["error", "logged"],
    ("job", "show", "given"): ["returned"],
    ("job", "show", "cancelled"): ["cancelled"],
    ("job", "ls"): [],
    ("job", "dead"): ["error"],
    ("schedule", "show", "s"): ["argument", "label", "note", "paused"],
    ("schedule", "history", "s"): [],
    ("schedule", "ls"): [],
    ("events", "--no-follow", "--since", "1h"): ["paused", "actor", "cancelled", "error"],
    ("alert", "ls"): ["why", "subject"],
    ("workers",): ["host", "queue"],
    ("doctor",): ["queue"],
    ("verify",): [],
    ("lint",): [],
    ("leader",): [],
}
"""Commands, and whose text each must show."""


async def test_no_command_lets_a_strangers_text_act(naq: Any, config: dict[str, Any], start: Start, shop: Path) -> None:
    (shop / "shop.py").write_text(APPLICATION)
    await start("worker", "shop:app")
    await _bad_world(config)
    watching = await start("events", "--since", "1h", "--type", "job_failed", until="failed")
    assert not bad_lines("\n".join(watching.lines))
    for command, fields in SEEN.items():
        for form in (command, (*command, "--json")):
            said = await asyncio.to_thread(naq, *form)
            assert not bad_lines(said.out + said.err), f"{form}: {bad_lines(said.out + said.err)}"
        said = await asyncio.to_thread(naq, *command)
        for field in fields:
            assert f"{field}\\x1b[31m" in said.out, f"{field} in {command}: {said.out}"


def test_a_complaint_forges_no_line(naq: Command, tmp_path: Path) -> None:
    crontab = tmp_path / "crontab"
    crontab.write_bytes(b"* * * * x \x1b[31m\x07\n")
    for arguments in (("import", str(crontab)), ("job", "show", BAD), ("schedule", "show", BAD), ("verify", BAD)):
        said = naq(*arguments)
        assert said.err
        assert not bad_lines(said.out + said.err), arguments


def test_the_command_line_prints_in_two_places() -> None:
    """`say` and `render`; the complaint of `naq` itself, and the demo, which shows nobody's text."""
    folder = Path(naq.cli.__file__).parent
    found = {
        path.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in ("print", "Console"))
            or (isinstance(node.func, ast.Attribute) and node.func.attr in ("echo", "secho", "write", "print"))
        )
    }
    assert found == {"say.py", "render.py", "__init__.py"}
