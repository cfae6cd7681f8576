"""The public names: what `naq`, `naq.services` and `naq.testing` hand on, and that the docs need nothing else."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import naq
import naq.services
import naq.testing

ROOT = Path(__file__).parents[2]
PUBLIC = (naq, naq.services, naq.testing)
CONTRACT = {
    "naq.job": ("Job", "JobStatus"),
    "naq.services.base": ("BaseService", "ServiceManager"),
    "naq.services.connection": ("ConnectionService",),
    "naq.services.events": ("EventService",),
    "naq.services.jobs": ("JobService",),
    "naq.services.kv_stores": ("KVStoreService",),
    "naq.services.scheduler": ("SchedulerService",),
    "naq.services.streams": ("StreamService",),
}
"""The fixed import paths of the service API."""


def imported_for_checkers(module: ModuleType) -> dict[str, str]:
    """The names under ``if TYPE_CHECKING``, each with its module."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    return {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_each_name_is_there_and_checkers_see_the_same(module: ModuleType) -> None:
    found = {name: home for home, names in module._NAMES_OF.items() for name in names}
    assert imported_for_checkers(module) == found
    assert sorted({*found, *(["__version__"] if module is naq else [])}) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_a_name_that_is_not_there_is_an_attribute_error(module: ModuleType) -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize("path", CONTRACT)
def test_the_import_paths_of_the_service_api_stay(path: str) -> None:
    module = importlib.import_module(path)
    assert tuple(sorted(module.__all__)) == tuple(sorted({*CONTRACT[path], *module.__all__}))
    for name in CONTRACT[path]:
        assert getattr(module, name) is getattr(naq if path == "naq.job" else naq.services, name)


def test_the_docs_and_examples_import_public_names_only() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.py")]
    found: list[str] = []
    for page in pages:
        if {"decisions", "findings"} & set(page.parts):  # what was decided or found then, with the names of that time
            continue
        for home, names in re.findall(r"^ *from (naq[\w.]*) import ([\w, ]+)", page.read_text(), re.M):
            for name in names.split(", "):
                public = home in {"naq", "naq.services", "naq.testing"} and name in sys.modules[home].__all__
                if not public and name.strip() not in CONTRACT.get(home, ()):
                    found.append(f"{page.relative_to(ROOT)}: {home}.{name}")
    assert not found


LOADED = "import sys; before = set(sys.modules); {}; print(*sorted(set(sys.modules) - before))"


def loaded_by(statement: str) -> set[str]:
    """The modules that a statement loads in a new process."""
    done = subprocess.run([sys.executable, "-c", LOADED.format(statement)], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_naq_loads_none_of_its_modules() -> None:
    assert {name for name in loaded_by("import naq") if name.startswith(("naq", "nats", "msgspec"))} == {
        "naq",
        "naq.lazy_names",
    }


def test_declaring_a_schedule_loads_no_nats_client() -> None:
    loaded = loaded_by("from naq import cron; cron('0 9 * * *', tz='Europe/Berlin')")
    assert not {name for name in loaded if name.split(".")[0] in {"nats", "typer", "rich", "httpx"}}
