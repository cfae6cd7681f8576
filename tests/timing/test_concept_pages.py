"""The Python blocks of the pages about schedules and time zones do what the text around them says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "concepts"


@pytest.mark.parametrize("page", ["schedules.md", "time-zones.md"])
def test_the_examples_of_the_page_run(page: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 4
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)


def test_every_known_difference_has_a_row() -> None:
    differences = re.findall(r"def (test_difference_\w+)", (Path(__file__).parent / "test_cron_oracle.py").read_text())
    text = (PAGES / "schedules.md").read_text(encoding="utf-8")
    table = text[text.index("### Differences") : text.index("## Recurrence")]
    assert len(differences) == 14
    for word in ("L/5", "Lord Howe", "Asunción", "Monrovia", "six fields", "comes twice", "nicknames"):
        assert word in table
    for word in ("*/2", "15W", "31W", "10-10", "22-2", "last field", "LW"):
        assert word in table
