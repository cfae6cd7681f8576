"""What `@app.job` declared holds on the command line, which only knows names; and the weights of a worker's queues."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from naq.app.application import Naq
from naq.cli import processes
from tests.cli.conftest import Command, Start


async def test_jobs_and_schedules_from_the_command_line_have_what_was_declared(naq: Command, start: Start) -> None:
    def ask(*arguments: str) -> Any:
        return asyncio.to_thread(naq, *arguments)

    await start("scheduler", "shop:app")
    job = (await ask("job", "add", "shop:send")).out.strip()
    assert (await ask("job", "show", job, "--json")).json["queue"] == "mail"
    assert (await ask("schedule", "add", "shop:send", "--every", "1h", "--id", "x")).code == 0
    assert (await ask("schedule", "show", "x", "--json")).json["job"]["queue"] == "mail"
    chosen = (await ask("job", "add", "shop:send", "--queue", "post")).out.strip()
    assert (await ask("job", "show", chosen, "--json")).json["queue"] == "post"


async def test_a_unique_job_from_the_command_line_is_enqueued_once(naq: Command) -> None:
    def add(*more: str) -> str:
        return naq("job", "add", "shop:greet", *more).out.strip()

    first = await asyncio.to_thread(add, "--arg", "eu", "--unique-for", "1h")
    assert await asyncio.to_thread(add, "--arg", "eu", "--unique-for", "1h") == first
    assert await asyncio.to_thread(add, "--arg", "us", "--unique-key", "x") != first


@pytest.mark.parametrize("what", ["worker", "run"])
def test_weights_can_be_given(what: str, naq: Command, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[dict[str, int]] = []

    async def run_app(app: Naq, **how: object) -> None:
        ran.append(dict(app.weights))

    monkeypatch.setattr(processes, "_run_app", run_app)
    monkeypatch.syspath_prepend(str(shop))
    queues = (what, "shop:app", "--queue", "default", "--queue", "mail")
    assert naq(*queues, "--weight", "mail=3", "--weight", "default=2").code == 0
    assert ran == [{"mail": 3, "default": 2}]
    for weight, said in {
        "mail": "must be QUEUE=NUMBER",
        "mail=0": "must be QUEUE=NUMBER",
        "a b=1": "a queue is 1 to 64 letters",
        "post=2": "the worker does not serve this queue, but default, mail",
    }.items():
        outcome = naq(*queues, "--weight", weight)
        assert (outcome.code, said in outcome.err) == (2, True), outcome.err
    assert len(ran) == 1
