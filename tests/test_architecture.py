"""The rules of the house, held by reading the code: imports go down, and each side effect has one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import naq

SOURCE = Path(naq.__file__).parent
FLOORS = {
    "exceptions": 0,
    "timing": 1,
    "words": 2,
    "ports": 3,
    "engine": 4,
    "services": 5,
    "observe": 6,
    "app": 7,
    "faces": 8,
}
"""From the ground up. A module imports from its own floor and those below. What observes listens to the services, and is
declared and started by the application."""
FACES = {"cli", "web", "testing", "__main__", "__init__"}
APPLICATION = {"app", "client", "portal"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(("naq", *parts)).removesuffix(".__init__")
        yield name, ast.parse(path.read_text(), str(path))


def floor(name: str) -> int:
    head = name.split(".")[1] if "." in name else "__init__"
    if head in FACES:
        return FLOORS["faces"]
    if head in APPLICATION:
        return FLOORS["app"]
    return FLOORS.get(head, FLOORS["words"])


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(tree: ast.AST, *, runtime_only: bool = False, top_only: bool = False) -> Iterator[str]:
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if runtime_only and is_type_checking(node):
            continue
        if top_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        pending.extend(ast.iter_child_nodes(node))


ALL = dict(modules())


@pytest.mark.parametrize("name", ALL)
def test_imports_go_down(name: str) -> None:
    own = [other for other in imports(ALL[name]) if other in ALL]
    too_high = [other for other in own if floor(other) > floor(name)]
    assert not too_high, f"{name} (floor {floor(name)}) imports from above: {too_high}"


def test_there_is_no_circle_of_imports() -> None:
    graph = {
        name: {
            other
            for other in imports(tree, runtime_only=True, top_only=True)
            if other in ALL and other != name and not name.startswith(f"{other}.")
        }
        for name, tree in ALL.items()
    }
    tuple(TopologicalSorter(graph).static_order())


def offenders(allowed: tuple[str, ...], found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: what for name, what in found.items() if what and not name.startswith(allowed)}


def test_only_services_import_nats() -> None:
    found = {name: [other for other in imports(tree) if other.split(".")[0] == "nats"] for name, tree in ALL.items()}
    assert not offenders(("naq.services",), found)


def attributes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_only_the_clock_reads_real_time() -> None:
    readers = {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.sleep",
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
    }
    found = {name: [use for use in attributes(tree) if use in readers] for name, tree in ALL.items()}
    assert not offenders(("naq.clock",), found)


def test_only_the_configuration_reads_the_environment() -> None:
    found = {
        name: [use for use in attributes(tree) if use in {"os.environ", "os.getenv"}] for name, tree in ALL.items()
    }
    assert not offenders(("naq.config",), found)


def test_only_faces_print() -> None:
    found = {
        name: [
            "print"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
        for name, tree in ALL.items()
    }
    assert not offenders(("naq.cli", "naq.web"), found)


def test_public_exception_classes_live_in_one_place() -> None:
    known = {"Exception", "BaseException", "ValueError", "RuntimeError", "NaqError"}
    found = {
        name: [
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and not node.name.startswith("_")
            and any(
                isinstance(base, ast.Name) and (base.id in known or base.id.endswith("Error")) for base in node.bases
            )
        ]
        for name, tree in ALL.items()
    }
    assert not offenders(("naq.exceptions",), found)


BROAD_EXCEPT_ALLOWED = "noqa: BLE001"


def test_broad_excepts_say_why() -> None:
    """Lint refuses a broad ``except``; where one stands it is marked, and the mark gives a reason."""
    for path in SOURCE.rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if BROAD_EXCEPT_ALLOWED in line:
                reason = line.split(BROAD_EXCEPT_ALLOWED)[1].strip(" -:#")
                assert len(reason) > 10, f"{path.name}:{number} catches everything and does not say why"


def test_no_wait_for() -> None:
    """Before Python 3.12 ``asyncio.wait_for`` can swallow a cancellation, and whoever stops the task waits for ever."""
    found = {name: [use for use in attributes(tree) if use == "asyncio.wait_for"] for name, tree in ALL.items()}
    assert not offenders((), found)
