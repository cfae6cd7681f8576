"""The examples run to their end, on the embedded server and on one that is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTED = {
    "service_api.py": "cancelled: True\n0 True",
    "decorators.py": "fetched 19 after 2 tries\nthree reports sent",
    "from_sync_code.py": "removed True",
    "alerts.py": "fired: nightly-export: the last 2 runs failed: disk full\nresolved: nightly-export: job nightly-export\n"
    "firing now: 0",
    "transactions.py": "70 30 {'moved': 30}",
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == PRINTED.keys()


@pytest.mark.parametrize("server", ["embedded", "given"])
@pytest.mark.parametrize("name", PRINTED)
def test_example(name: str, server: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    environment = {"NAQ_DATA_DIR": str(tmp_path), "NAQ_LOG_LEVEL": "ERROR"}
    if server == "given":
        environment |= {"NAQ_NATS_URL": request.getfixturevalue("nats_url"), "NAQ_NAMESPACE": name.removesuffix(".py")}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert PRINTED[name] in done.stdout
