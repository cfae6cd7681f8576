"""What `naq.testing` exports is there, and the page that tells how to use it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import naq.testing

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "test-your-schedules.md"


@pytest.mark.parametrize("name", naq.testing.__all__)
def test_every_export_is_there(name: str) -> None:
    assert getattr(naq.testing, name).__name__ == name


def test_what_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NatsSever"):
        naq.testing.NatsSever  # noqa: B018


def test_the_example_of_the_page_passes() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    namespace: dict[str, object] = {}
    exec(compile(blocks[0], PAGE.name, "exec"), namespace)
    tests = [value for name, value in namespace.items() if name.startswith("test_")]
    assert len(tests) == 1
    for test in tests:
        assert callable(test)
        test()
