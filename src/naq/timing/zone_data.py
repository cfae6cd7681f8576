"""Which IANA zone database is used: the newest of the system's, the ``tzdata`` package's, and one in a directory of one's own.

`zoneinfo` itself prefers the system's files even when they are years behind.
"""

from __future__ import annotations

import io
import struct
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

__all__ = ["OwnDirectory", "ZoneData", "last_listed", "load_zone", "own_directory", "tzdata_version", "zone_data"]

PACKAGE, SYSTEM, OWN = "tzdata package", "system", "zone_data setting"
LATE_AFTER = 18
"""Months after the beginning of its year from which on a release is old: there is a new one every few months."""

_LISTED_FOR_ALL = 2037
_FAR = 1 << 36
"""Seconds: the year 4147, beyond every table."""


class ZoneData(NamedTuple):
    """The zone database in use."""

    release: str
    """Such as ``2026a``: releases sort as text."""
    source: str
    """``system``, ``tzdata package`` or ``zone_data setting``; empty when there is none."""

    def __str__(self) -> str:
        return f"{self.release} ({self.source})" if self.source else self.release

    @property
    def year(self) -> int | None:
        """The year of its release; ``None`` when the release is not known."""
        return int(self.release[:4]) if self.release[:4].isdigit() else None

    def is_old(self, now: datetime) -> bool:
        """Whether it is so old that rules have probably changed since: at least half a year."""
        return self.year is not None and (now.year - self.year) * 12 + now.month > LATE_AFTER


@dataclass(slots=True)
class OwnDirectory:
    """The directory of the setting ``zone_data``, for the whole process."""

    path: Path | None = None


own_directory = OwnDirectory()


def zone_data() -> ZoneData:
    """The newest zone database of this machine. Of the same release the one in the own directory, then the system's."""
    found = [each for each in (_own_data(), _system_data(), _package_data()) if each is not None]
    if not found:
        return ZoneData("none", "")
    if found[0].year is None:
        return found[0]  # its release is not known: the files that were put there on purpose
    return max(found, key=lambda each: each.release[:5])


def tzdata_version() -> str:
    """The release of the zone database in use here and where it is from, e.g. ``2025b (system)``.

    Two machines with different releases can disagree about future times in zones whose rules changed.
    """
    return str(zone_data())


def load_zone(name: str) -> zoneinfo.ZoneInfo:
    """The zone from the newest database. Raises what `zoneinfo` raises."""
    data = _file(name)
    return zoneinfo.ZoneInfo(name) if data is None else zoneinfo.ZoneInfo.from_file(io.BytesIO(data), key=name)


def last_listed(name: str) -> datetime | None:
    """The last change of offset that the database lists by its date; what follows is by rule. ``None``: it lists none.

    Some files list the changes of all zones until 2037, only for programs that do not read the rules: those do not count.
    """
    data = _file(name)
    if data is None or data[:4] != b"TZif" or data[4:5] < b"2":
        return None
    first = _counts(data, 0)
    start = 44 + first.times * 5 + first.types * 6 + first.chars + first.leaps * 8 + first.standard + first.universal
    second = _counts(data, start)
    if not second.times:
        return None
    seconds = struct.unpack_from(">q", data, start + 44 + 8 * (second.times - 1))[0]
    listed = datetime.fromtimestamp(seconds, UTC) if 0 <= seconds < _FAR else None
    return None if listed is not None and listed.year == _LISTED_FOR_ALL else listed


class _Counts(NamedTuple):
    """The numbers in a header of a zone file (RFC 9636), in their order."""

    universal: int
    standard: int
    leaps: int
    times: int
    types: int
    chars: int


def _counts(data: bytes, at: int) -> _Counts:
    return _Counts(*struct.unpack_from(">6L", data, at + 20))


def _file(name: str) -> bytes | None:
    """A zone's file out of the newest database, or else the system's; ``None``: there is none."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return None
    source = zone_data().source
    if source == OWN and own_directory.path is not None and (own := own_directory.path / name).is_file():
        return own.read_bytes()
    if source == PACKAGE:
        packed = resources.files("tzdata.zoneinfo").joinpath(*parts)
        if packed.is_file():
            return packed.read_bytes()
    files = (Path(directory) / name for directory in zoneinfo.TZPATH)
    return next((file.read_bytes() for file in files if file.is_file()), None)


@lru_cache(maxsize=1)
def _package_data() -> ZoneData | None:
    try:
        release = (
            resources.files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text(encoding="utf-8").split(None, 3)[2]
        )
    except (ModuleNotFoundError, OSError, IndexError):
        return None
    return ZoneData(release, PACKAGE)


def _system_data() -> ZoneData | None:
    for directory in map(Path, zoneinfo.TZPATH):
        if _is_database(directory):
            return ZoneData(_release(directory), SYSTEM)
    return None


def _own_data() -> ZoneData | None:
    directory = own_directory.path
    return ZoneData(_release(directory), OWN) if directory is not None and _is_database(directory) else None


def _is_database(directory: Path) -> bool:
    return (directory / "Etc" / "UTC").exists() or (directory / "UTC").exists()


def _release(directory: Path) -> str:
    for name in ("tzdata.zi", "+VERSION"):
        try:
            with (directory / name).open(encoding="utf-8") as lines:
                words = lines.readline().split()
        except OSError:
            continue
        if words:
            return words[-1]
    return "unknown release"
