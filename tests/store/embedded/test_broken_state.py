"""State files of the embedded server that something else wrote, or made directories of: one error, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from naq.exceptions import EmbeddedServerError
from naq.store.embedded.directory import ServerDirectory
from naq.store.embedded.server import EmbeddedServer, describe

RUBBISH = {
    "empty": b"",
    "no text": b"\xff\xfe\x00rubbish",
    "a list": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "other fields": b'{"name": 1}',
}


@pytest.mark.parametrize("name", ["server.json", "server.lock", "server.pid", "server.conf", "decision.lock"])
async def test_a_directory_in_the_place_of_a_file_is_one_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "server" / name).mkdir(parents=True)
    with pytest.raises(EmbeddedServerError, match=r"data_dir .* cannot be (used|written).*[Dd]irectory"):
        await EmbeddedServer(tmp_path).join()


@pytest.mark.parametrize("kind", RUBBISH)
def test_a_record_that_is_rubbish_is_none(tmp_path: Path, kind: str) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "server.json").write_bytes(RUBBISH[kind])
    assert ServerDirectory(tmp_path).record() is None
    assert describe(tmp_path) is None
