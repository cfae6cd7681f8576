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
        naq.testing.NatsSever  # type: ignore[attr-defined]  # noqa: B018


def test_the_examples_of_the_page_pass() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        namespace: dict[str, object] = {}
        exec(compile(block, PAGE.name, "exec"), namespace)
        (test,) = (value for name, value in namespace.items() if name.startswith("test_"))
        assert callable(test)
        test()
