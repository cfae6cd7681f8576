"""What all tests share: one real server for each test process, and a fresh namespace for each test."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from naq.lifecycle import ServiceManager
from naq.testing.server import NatsServer
from tests.faults.report import FaultRun, table


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server with JetStream that this test process has to itself."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    try:
        yield server.url
    finally:
        asyncio.run(server.stop())


@pytest.fixture
def config(nats_url: str) -> dict[str, Any]:
    """Configuration for services in a namespace of the test's own."""
    return {"nats_url": nats_url, "namespace": f"t{secrets.token_hex(6)}", "connect_timeout": 10, "request_timeout": 10}


@pytest.fixture
async def services(config: dict[str, Any]) -> AsyncIterator[ServiceManager]:
    """A manager whose services are stopped after the test."""
    async with ServiceManager(config) as manager:
        yield manager


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what the fault tests did (`tests/faults/report.py`)."""
    told = [
        told
        for of_one_kind in terminalreporter.stats.values()
        for report in of_one_kind
        if getattr(report, "when", None) == "call"
        for told in report.user_properties
    ]
    if runs := [msgspec.json.decode(text, type=FaultRun) for name, text in told if name == "fault_run"]:
        directories = sorted({text for name, text in told if name == "fault_reports"})
        terminalreporter.section("faults")
        terminalreporter.write_line(table(runs))
        terminalreporter.write_line(f"written to {', '.join(directories)}")
