"""The file of a backup: gzip, one JSON document a line. The first says what it is, the last how much there is and its checksum.

``zcat`` shows it. It is written and read as a stream, so that its size does not matter. It is complete only under its name:
while it is being written it is called ``<name>.part``.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from naq.exceptions import InvalidInput

__all__ = ["BackupWriter", "Family", "Foot", "Head", "Item", "Survey", "items_of", "survey"]

FORMAT = 1
"""The version of the format that this naq writes, and the newest that it reads."""
COMPRESSION = 3

T = TypeVar("T")


class Family(StrEnum):
    """Where a record belongs."""

    BUCKET = "bucket"
    RESULTS = "results"
    HISTORY = "history"
    EVENTS = "events"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line."""

    naq_backup: int = FORMAT
    namespace: str
    started_at: datetime
    sequence: int
    """The bucket's last revision when the backup began: keys that were written again since then appear several times."""


class Item(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One record. Of several for a key in a bucket, that with the highest sequence counts."""

    family: Family
    key: str
    sequence: int
    text: str | None = None
    """The value, if it is text."""
    data: bytes | None = None
    """The value, if it is not (base64 in the file); without either, the key was deleted."""
    expires_at: datetime | None = None

    @property
    def value(self) -> bytes | None:
        """The value; ``None``: deleted."""
        return self.data if self.text is None else self.text.encode()


class Foot(msgspec.Struct, frozen=True, kw_only=True):
    """The last line."""

    at: datetime
    """The moment: what was committed before is in the file, what came later is not. By the server's clock."""
    complete_since: dict[str, datetime]
    """Since when events and history are complete."""
    counts: dict[str, int]
    sha256: str
    """Of all lines before this one."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file that was read to its end."""

    head: Head
    foot: Foot
    newest: dict[tuple[Family, str], int]
    """Keys that were written again during the backup, with their highest sequence."""

    def counts(self, item: Item) -> bool:
        """Whether an item is its key's last word, and no deletion."""
        if item.value is None:
            return False
        return self.newest.get((item.family, item.key), item.sequence) == item.sequence


_encoder = msgspec.json.Encoder()
_head, _item, _foot = msgspec.json.Decoder(Head), msgspec.json.Decoder(Item), msgspec.json.Decoder(Foot)


class BackupWriter:
    """Writes a file; it gets its name when `finish` has made it durable, and is removed if that does not happen."""

    def __init__(self, path: Path, head: Head, *, replace: bool = False) -> None:
        """Raises `InvalidInput` when the file cannot be written, or exists and may not be replaced."""
        if path.exists() and not replace:
            raise InvalidInput.of("file", str(path), "exists already", f"{path}.new")
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._hash = hashlib.sha256()
        self.counts: dict[str, int] = {str(family): 0 for family in Family}
        try:
            self._raw = self._part.open("wb")
        except OSError as error:
            raise InvalidInput.of("file", str(path), f"cannot be written ({error})", "naq-backup.gz") from None
        self._file = gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=COMPRESSION)
        self._line(_encoder.encode(head))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self._raw.closed:
            self._raw.close()
            with suppress(OSError):
                self._part.unlink()

    def write(self, items: list[Item]) -> None:
        """Append records."""
        for item in items:
            self.counts[item.family] += 1
            self._line(_encoder.encode(item))

    def finish(self, at: datetime, complete_since: dict[str, datetime]) -> Foot:
        """Write the last line, have everything on disk, and give the file its name."""
        foot = Foot(at=at, complete_since=complete_since, counts=self.counts, sha256=self._hash.hexdigest())
        self._file.write(_encoder.encode(foot) + b"\n")
        self._file.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        self._part.replace(self._path)
        return foot

    def _line(self, line: bytes) -> None:
        self._hash.update(line)
        self._file.write(line + b"\n")


def survey(path: Path) -> Survey:
    """Read a file to its end. Raises `InvalidInput` when it is no backup, damaged, cut off, or of a newer naq."""
    digest = hashlib.sha256()
    counts: dict[str, int] = {str(family): 0 for family in Family}
    newest: dict[tuple[Family, str], int] = {}
    head: Head | None = None
    foot: Foot | None = None
    for line in _lines(path):
        if foot is not None:
            raise _damaged(path, "something follows its last line")
        if head is None:
            head = _read_head(path, line)
        elif line.startswith(b'{"at":'):
            foot = _decoded(_foot, path, line)
            continue
        else:
            item = _decoded(_item, path, line)
            counts[item.family] += 1
            if item.sequence > head.sequence and item.family in (Family.BUCKET, Family.RESULTS):
                newest[item.family, item.key] = item.sequence
        digest.update(line)
    if head is None or foot is None:
        raise _damaged(path, "its end is missing")
    if foot.sha256 != digest.hexdigest() or foot.counts != counts:
        raise _damaged(path, "its checksum does not fit")
    return Survey(head=head, foot=foot, newest=newest)


def items_of(path: Path) -> Iterator[Item]:
    """The records of a file that was surveyed, in its order."""
    for number, line in enumerate(_lines(path)):
        if number and not line.startswith(b'{"at":'):
            yield _decoded(_item, path, line)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as file:
            for line in file:
                yield line.rstrip(b"\n")
    except FileNotFoundError:
        raise InvalidInput.of("file", str(path), "there is no such file", "naq-backup.gz") from None
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from None


def _read_head(path: Path, line: bytes) -> Head:
    head = _decoded(_head, path, line)
    if head.naq_backup > FORMAT:
        reason = f"a newer naq wrote it (format {head.naq_backup}, this one reads {FORMAT}): upgrade naq"
        raise InvalidInput.of("file", str(path), reason, "naq-backup.gz")
    return head


def _decoded(decoder: msgspec.json.Decoder[T], path: Path, line: bytes) -> T:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> InvalidInput:
    return InvalidInput.of("file", str(path), f"is no whole backup of naq: {why}", "naq-backup.gz")
