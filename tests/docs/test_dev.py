"""``./dev`` with a Python that installs nothing, and says what it was asked for."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
echo "python $*" >> "$ASKED"
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    printf '#!/bin/sh\\necho "naq at $0 $*${NAQ_DEV_ENVIRONMENT-}"\\n' > "$3/bin/naq"
    chmod +x "$3/bin/naq"
fi
"""


@dataclass
class Checkout:
    """A copy of what ``./dev`` needs, and what it did."""

    directory: Path
    environment: str

    def dev(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        asked = {
            "ASKED": str(self.asked),
            "PYTHON": str(self.directory / "fake"),
            "NAQ_DEV_ENVIRONMENT": self.environment,
        }
        return subprocess.run(
            [str(self.directory / "dev"), *arguments],
            env={**os.environ, **asked},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def asked(self) -> Path:
        return self.directory / "asked"

    @property
    def installed(self) -> list[str]:
        """What pip was asked for, in order."""
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        return [line.split()[-1] for line in lines if " pip install " in line]


@pytest.fixture(params=["relative", "absolute"])
def checkout(tmp_path: Path, request: pytest.FixtureRequest) -> Checkout:
    directory = tmp_path / "checkout"
    directory.mkdir()
    for name in ("dev", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, directory / name)
    fake = directory / "fake"
    fake.write_text(PYTHON)
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    return Checkout(directory, "env" if request.param == "relative" else str(tmp_path / "elsewhere"))


def test_the_demo_installs_naq_alone_once_and_says_what_it_is_doing(checkout: Checkout) -> None:
    done = checkout.dev("demo", "--for", "5s")
    assert done.returncode == 0, done.stderr
    environment = checkout.directory / checkout.environment
    assert done.stdout.strip() == f"naq at {environment}/bin/naq demo --for 5s"
    assert "making the virtual environment" in done.stderr
    assert "installing . there, once" in done.stderr
    assert "--quiet" not in checkout.asked.read_text()
    assert checkout.dev("demo").stderr == ""
    assert checkout.installed == ["."]


def test_what_a_developer_needs_is_installed_when_it_is_asked_for(checkout: Checkout) -> None:
    checkout.dev("demo")
    checkout.dev("run", "true")
    assert checkout.installed == [".", ".[dev]"]
    checkout.dev("demo")
    checkout.dev("run", "true")
    assert checkout.installed == [".", ".[dev]"]


def test_a_changed_project_is_installed_again(checkout: Checkout) -> None:
    checkout.dev("demo")
    stamp = (checkout.directory / checkout.environment / ".installed-alone").stat().st_mtime
    os.utime(checkout.directory / "pyproject.toml", (stamp + 10, stamp + 10))
    checkout.dev("demo")
    assert checkout.installed == [".", "."]
