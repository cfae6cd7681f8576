"""What `@app.job` declared holds on the command line, which only knows names."""

from __future__ import annotations

import asyncio
from typing import Any

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
