"""What the package says about itself, read from its files."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import naq

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = re.compile(r"[A-Za-z0-9._-]+")


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirement: str) -> str:
    found = NAME.match(requirement)
    assert found
    return plain(found[0])


CONSTRAINED = {plain(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().split()}


def needed_by(name: str) -> set[str]:
    """What a package needs without extras, on this machine; nothing for one that is not installed."""
    try:
        found = requires(name) or []
    except PackageNotFoundError:
        return set()
    return {named(each) for each in found if ";" not in each}


def test_the_constraints_name_everything_that_is_installed() -> None:
    left = {named(each) for each in PROJECT["dependencies"]}
    left |= {named(each) for extra in PROJECT["optional-dependencies"].values() for each in extra} - {"naq"}
    seen: set[str] = set()
    while left:
        name = left.pop()
        seen.add(name)
        if name != "typer":  # an installed one that is newer than the project allows needs more
            left |= needed_by(name) - seen
    assert not seen - CONSTRAINED


def test_what_has_no_wheel_is_an_extra() -> None:
    assert not {named(each) for each in PROJECT["dependencies"]} & {"nkeys"}
    assert "[" not in "".join(PROJECT["dependencies"])


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", naq.__version__)
