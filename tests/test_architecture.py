"""The rules of the house, held by reading the code: imports go down, and each side effect has one door."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import naq

SOURCE = Path(naq.__file__).parent
ROOMS = (
    (
        "lazy_names",
        "durations",
        "printable",
        "exceptions",
        "text_file",
        "clock",
        "config",
        "events",
        "lifecycle",
        "shell",
    ),
    ("timing",),
    ("parsing",),
    ("store",),
    ("jobs",),
    ("schedules",),
    ("queue", "scheduler"),
    ("worker",),
    ("observe",),
    ("job", "services"),
    ("app",),
    ("__init__",),
    ("cli", "testing"),
    ("__main__",),
)
"""From the ground up. A module imports from its own room and from rooms in earlier rows; rooms of one row do not know each
other. Modules of the first row are in the order of their imports."""
NEIGHBOURS = {name for row in ROOMS[1:] if len(row) > 1 for name in row}
"""Rooms that share a row with another."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(("naq", *parts)).removesuffix(".__init__")
        yield name, ast.parse(path.read_text(), str(path))


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


def row(name: str) -> int:
    return next(number for number, rooms in enumerate(ROOMS) if room(name) in rooms)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every import: at the top, inside functions, and under ``TYPE_CHECKING``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [f"{node.module}.{alias.name}" for alias in node.names]
            named = [name for name in found if name in ALL]
            yield from named
            if len(named) < len(found):
                yield node.module


ALL: dict[str, ast.Module] = {}
ALL.update(modules())


def own_imports(name: str, tree: ast.AST) -> set[str]:
    return {other for other in imports(tree) if other in ALL and other != name}


def upward(name: str, tree: ast.AST) -> list[str]:
    """What a module imports from above, or from a room beside its own."""
    beside = [other for other in own_imports(name, tree) if row(other) == row(name) and room(other) != room(name)]
    above = [other for other in own_imports(name, tree) if row(other) > row(name)]
    return above + [other for other in beside if room(name) in NEIGHBOURS]


def order_of(package: str) -> list[str]:
    """The order of a room's files as its overview tells it: ``Order: `a`, `b`, `c`.``"""
    text = ast.get_docstring(ALL[package]) or ""
    found = re.search(r"^Order: ((?:.|\n)*?)\.$", text, re.M)
    assert found, f"the overview of {package} does not tell its order (Order: `a`, `b`.)"
    return re.findall(r"`(\w+)`", found[1])


def against_order(package: str, trees: Mapping[str, ast.Module]) -> list[str]:
    """Imports inside a room from a file that its overview names later."""
    order = order_of(package)
    depth = package.count(".") + 1
    found = []
    for name, tree in trees.items():
        if not name.startswith(f"{package}."):
            continue
        place = order.index(name.split(".")[depth])
        for other in own_imports(name, tree):
            if other.startswith(f"{package}.") and order.index(other.split(".")[depth]) > place:
                found.append(f"{name} -> {other}")
    return found


def circles(trees: Mapping[str, ast.Module]) -> list[str]:
    """One circle of imports, if there is any. A package's face may hand on what its files define."""
    graph = {
        name: {other for other in own_imports(name, tree) if not name.startswith(f"{other}.")}
        for name, tree in trees.items()
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


PACKAGES = sorted({name.rsplit(".", 1)[0] for name in ALL if name.count(".") > 1})


@pytest.mark.parametrize("name", ALL)
def test_imports_go_down(name: str) -> None:
    assert not upward(name, ALL[name])


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_keeps_its_order(package: str) -> None:
    there = {name.split(".")[package.count(".") + 1] for name in ALL if name.startswith(f"{package}.")}
    assert set(order_of(package)) == there
    assert against_order(package, ALL) == []


def test_there_is_no_circle_of_imports() -> None:
    assert circles(ALL) == []


OLD_CIRCLES = [
    pytest.param(
        {"naq.schedules.counters": "def of(schedule):\n    from naq.schedules.record import Schedule\n"},
        id="schedule, forms and counters",
    ),
    pytest.param(
        {
            "naq.store.nats.streams": "from naq.store.nats.connection import ConnectionService\n",
            "naq.store.nats.connection": "if TYPE_CHECKING:\n    from naq.store.nats.streams import StreamService\n",
        },
        id="connection and streams",
    ),
    pytest.param(
        {"naq.testing.store": "if TYPE_CHECKING:\n    from naq.testing.link import Link, MemoryClient\n"},
        id="store, link and replica in memory",
    ),
]


@pytest.mark.parametrize("added", OLD_CIRCLES)
def test_a_circle_that_was_there_once_is_seen_when_it_comes_back(
    added: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was hidden under ``TYPE_CHECKING`` or inside a function."""
    for name, text in added.items():
        tree = ast.parse(text)
        tree.body += ALL[name].body if name in ALL else []
        monkeypatch.setitem(ALL, name, tree)
    assert circles(ALL)


def offenders(allowed: tuple[str, ...], found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: what for name, what in found.items() if what and not name.startswith(allowed)}


def test_only_the_nats_store_imports_nats() -> None:
    found = {name: [other for other in imports(tree) if other.split(".")[0] == "nats"] for name, tree in ALL.items()}
    assert not offenders(("naq.store.nats",), found)


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


@pytest.mark.parametrize("name", ALL)
def test_a_logger_is_named_for_the_module_it_stands_in(name: str) -> None:
    """So a log line leads to its module, and its level can be set by package."""
    own_names = [
        node.args[0].value
        for node in ast.walk(ALL[name])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "getLogger"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    others = {"naq.job": "naq.jobs.context", "httpx": "naq.observe.alerts.webhook"}
    assert not [each for each in own_names if others.get(str(each)) != name]
