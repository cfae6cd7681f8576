"""Files that users hand in: TOML, JSON, YAML and crontabs, read with bounds. Whatever is in them, the outcome is a value or one
complaint: a file may be in another encoding, nested without end, or small and huge when it is written out (YAML aliases)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from naq.exceptions import InvalidInput

__all__ = ["parse_text", "read_text_file"]

LARGEST = 4_000_000
"""Bytes of a file."""
DEEPEST = 50
"""Levels of nesting."""
MOST = 200_000
"""Values in a file, each alias counted as what it stands for."""


def read_text_file(path: Path, field: str, example: str) -> str:
    """The file's text. Raises `InvalidInput` when it cannot be read, is larger than `LARGEST`, or is not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # a path with a null byte in it is a ValueError
        reason = f"cannot be read ({error.strerror if isinstance(error, OSError) else error})"
        raise InvalidInput.of(field, str(path), reason, example) from None
    if len(data) > LARGEST:
        raise InvalidInput.of(field, str(path), f"is larger than {LARGEST // 1_000_000} MB", example)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput.of(
            field, str(path), f"is not UTF-8 (line {line}): save it in that encoding", example
        ) from None


def parse_text(text: str, suffix: str) -> Any:
    """What TOML (``.toml``), JSON (``.json``) or YAML (any other suffix) says. Raises `ValueError` with a reason of one line."""
    try:
        form = _parsed(text, suffix.lower())
        _check(form, DEEPEST, {})
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep") from None
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from None
    return form


def _parsed(text: str, suffix: str) -> Any:
    match suffix:
        case ".toml":
            import tomllib  # most commands read no file

            return tomllib.loads(text)
        case ".json":
            import json

            return json.loads(text)
        case _:
            return _yaml(text)


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise ValueError("YAML needs the extra naq[yaml]; TOML and JSON are read without it") from None

    class Loader(yaml.SafeLoader):
        """As the safe loader, with bounds where it takes long: deep nesting, and merges (``<<``), which it writes out."""

        def fetch_flow_collection_start(self, token: Any) -> None:
            self._check_depth(self.flow_level)
            super().fetch_flow_collection_start(token)

        def add_indent(self, column: int) -> bool:
            self._check_depth(len(self.indents))
            return bool(super().add_indent(column))

        def _check_depth(self, depth: int) -> None:
            if depth > DEEPEST:
                raise yaml.YAMLError(f"it is nested more than {DEEPEST} levels deep")

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > MOST:
                raise yaml.YAMLError(f"it has more than {MOST:,} values, its merges written out")

    try:
        return yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, TypeError, KeyError, AttributeError, OverflowError) as error:
        # not only YAMLError: of some documents, e.g. one with a list as a key, PyYAML raises what Python does
        raise ValueError(str(error) or type(error).__name__) from None


def _check(value: Any, depth: int, known: dict[int, int]) -> int:
    """How many values there are, an alias counted as all that it stands for. ``known``: the counts of containers, by id.
    Raises `ValueError` when it is too much, or endless."""
    if not isinstance(value, dict | list | tuple | set):
        return 1
    count = known.get(id(value))
    if count is not None:
        return count
    if depth == 0:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep, or contains itself")
    members = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    count = 1
    for each in members:
        count += _check(each, depth - 1, known)
        if count > MOST:
            raise ValueError(f"it has more than {MOST:,} values, its aliases written out")
    known[id(value)] = count
    return count
