"""The page about alerts does what it says: its application is run, its check of a signature holds."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from tests.faults.world import Process
from tests.observe.alerts.conftest import Hook

DOCS = Path(__file__).parents[3] / "docs"


async def test_the_examples_of_the_page(config: dict[str, Any], hook: Hook, tmp_path: Path) -> None:
    page = (DOCS / "howto" / "alerts.md").read_text(encoding="utf-8")
    application, check, sinks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    (tmp_path / "shop.py").write_text(application + sinks)
    environment = {
        "NAQ_NATS_URL": config["nats_url"],
        "NAQ_NAMESPACE": config["namespace"],
        "CHAT_HOOK": hook.url,
        "CHAT_SECRET": "s3cr3t",
        "PYTHONPATH": str(tmp_path),
    }
    process = Process(["run", "shop:app"], environment)
    try:
        await process.start()
        assert await process.line("fired: ") == "fired: nightly-export: the last run failed: disk full"
        (body,) = await hook.until(1)
        assert (body["alert"]["name"], body["alert"]["kind"]) == ("exports", "fired")
        paused = Process(["schedule", "pause", "nightly-export"], environment)
        await paused.launch()
        assert await paused.ended() == 0
        assert (await process.line("schedule_paused")).startswith("schedule_paused: nightly-export by cli:")
        for line in commands.splitlines():
            shown = Process(line.split()[1:], environment)
            await shown.launch()
            assert await shown.ended() == 0
            assert "any-failure" in "\n".join(shown.lines)
    finally:
        await process.kill()
    namespace: dict[str, Any] = {}
    exec(compile(check, "alerts.md", "exec"), namespace)
    headers, raw = hook.posts[0]
    given = {"X-Naq-Timestamp": headers["x-naq-timestamp"], "X-Naq-Signature": headers["x-naq-signature"]}
    is_from_naq = namespace["is_from_naq"]
    assert await asyncio.to_thread(is_from_naq, given, raw, "s3cr3t")
    assert not is_from_naq(given, raw, "another")
    assert not is_from_naq(given, raw + b" ", "s3cr3t")
