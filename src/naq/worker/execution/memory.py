"""How much memory a process holds."""

from __future__ import annotations

import mmap
from pathlib import Path

__all__ = ["resident_bytes"]


def resident_bytes(pid: int | None = None) -> int:
    """Resident bytes of a process, by default of this one; 0 when it has ended, or on systems without ``/proc``."""
    try:
        pages = Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1]
        return int(pages) * mmap.PAGESIZE
    except (OSError, ValueError, IndexError):
        return 0
