"""Record ``docs/images/demo.svg``: the demo's live table after a few seconds of a real run.

``./dev run python docs/make_demo_picture.py``
"""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from pathlib import Path

from rich.console import Console

from naq.cli.demo.command import Demo

SECONDS = 14.2
PICTURE = Path(__file__).parent / "images" / "demo.svg"
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""What a reader would have to load from elsewhere."""


async def record() -> None:
    """Run it, and keep what it shows."""
    console = Console(record=True, width=126, file=io.StringIO())
    with tempfile.TemporaryDirectory(prefix="naq-demo-") as directory:
        async with Demo(Path(directory)) as demo:
            await asyncio.sleep(SECONDS)
            console.print((await demo.view()).picture())
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(FONTS.sub("", console.export_svg(title="naq demo")))


if __name__ == "__main__":
    asyncio.run(record())
