"""What fault tests share: the report of what they did."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from tests.faults.report import FaultRun, Reports


@pytest.fixture
def reports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Where the test writes what it did; the end of the pytest run shows the table (`tests/conftest.py`)."""
    node = request.node

    def tell(run: FaultRun) -> None:
        node.user_properties.append(("fault_run", msgspec.json.encode(run).decode()))

    directory = _directory(tmp_path_factory)
    node.user_properties.append(("fault_reports", str(directory)))
    return Reports(directory, node.path.name, tell)


def _directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("FAULT_REPORTS"):
        return Path(given).absolute()
    base = tmp_path_factory.getbasetemp()
    # The processes of pytest-xdist each have a directory below a common one.
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "faults"
