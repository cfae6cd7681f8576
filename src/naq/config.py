"""Settings: one frozen record out of a mapping, a TOML file and the environment.

Precedence: explicit mapping > file > environment > default. The same names everywhere: ``nats_url`` in the mapping
and under ``[naq]`` in the file is ``NAQ_NATS_URL`` in the environment. Every complaint about every key is collected
and reported at once, with the nearest valid name for a key that is unknown. This module alone reads the environment.

Secrets (`nats_password`, `nats_token`, the passwords inside a URL) never appear in the ``repr`` or in an error.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit

import msgspec

from naq.exceptions import ConfigError, InvalidInput, Problem, shown

__all__ = ["Settings", "SettingsOptions", "load_settings", "state_directory"]

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
ENVIRONMENT_PREFIX = "NAQ_"


def state_directory() -> Path:
    """Where naq keeps the embedded server's data by default: the user's XDG data directory."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "naq"


def default_instance_id() -> str:
    """``host-pid-random``: unique among all processes that ever ran."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:32] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


def _check(test: Callable[[Any], bool], reason: str) -> Callable[[Any], str | None]:
    return lambda value: None if test(value) else reason


_positive = _check(lambda value: value > 0, "must be more than 0")
_lifetime = _check(lambda value: 0 < value <= 36_525 * 86_400, "must be more than 0 and at most 100 years")
_copies = _check(lambda value: value in (1, 3, 5), "must be 1, 3 or 5")
_batch = _check(lambda value: 1 <= value <= 490, "must be 1 to 490")
_wait = _check(lambda value: 0 <= value <= 36_525 * 86_400, "must be 0 or more, and at most 100 years")
_positive_or_none = _check(lambda value: value is None or value > 0, "must be more than 0")
_not_negative = _check(lambda value: value >= 0, "must not be negative")
_not_negative_or_none = _check(lambda value: value is None or value >= 0, "must not be negative")
_name = _check(lambda value: NAME.fullmatch(value) is not None, "must be 1 to 64 letters, digits, '-' or '_'")


def _servers(value: tuple[str, ...]) -> str | None:
    for url in value:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        if parts.scheme not in {"nats", "tls", "ws", "wss"}:
            return f"the scheme {parts.scheme!r} is not one of nats, tls, ws, wss"
        if not parts.hostname:
            return "the server's host is missing"
        try:
            _ = parts.port
        except ValueError:
            return "the port is not a number from 1 to 65535"
    return None


def setting(
    default: Any,
    doc: str,
    example: object,
    check: Callable[[Any], str | None] | None = None,
    *,
    secret: bool = False,
) -> Any:
    """Declare one configuration key: its default, one line of documentation, a valid example and its check."""
    metadata = {"doc": doc, "example": example, "check": check, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of naq's configuration. Times are seconds, sizes are bytes unless their text says otherwise."""

    nats_url: tuple[str, ...] = setting(
        (),
        "servers to connect to, a list or separated by commas; absent: the embedded server",
        "nats://127.0.0.1:4222",
        _servers,
        secret=True,
    )
    nats_creds: str | None = setting(None, "path of a .creds file (JWT and seed)", "/etc/naq/app.creds")
    nats_nkey: str | None = setting(None, "path of a file with an nkey seed", "/etc/naq/app.nk")
    nats_token: str | None = setting(None, "authentication token", "s3cr3t", secret=True)
    nats_user: str | None = setting(None, "user name", "naq")
    nats_password: str | None = setting(None, "password of nats_user", "s3cr3t", secret=True)
    tls_ca: str | None = setting(None, "path of the CA certificate that signed the server's", "/etc/naq/ca.pem")
    tls_cert: str | None = setting(None, "path of the client certificate", "/etc/naq/client.pem")
    tls_key: str | None = setting(None, "path of the client certificate's key", "/etc/naq/client.key")
    inbox_prefix: str = setting(
        "_INBOX",
        "subject under which this user's answers arrive; one of its own keeps other users from reading them",
        "_INBOX_naq",
        _check(
            lambda value: SUBJECT.fullmatch(value) is not None, "must be letters, digits, '-' or '_', with dots between"
        ),
    )
    connect_timeout: float = setting(5.0, "seconds one connection attempt may take", 5.0, _positive)
    request_timeout: float = setting(5.0, "seconds to wait for the store's answer", 5.0, _positive)

    namespace: str = setting("naq", "name of the bucket and its side streams", "naq", _name)
    replicas: int = setting(1, "copies of each stream in a cluster: 1, 3 or 5", 3, _copies)
    data_dir: Path = setting(state_directory, "directory of the embedded server's data", "/var/lib/naq")

    instance_id: str = setting(default_instance_id, "name of this process among the others", "scheduler-1", _name)
    release: int | None = setting(
        None, "this release's number: a smaller one changes no declared schedule", 42, _not_negative_or_none
    )
    zone_data: str | None = setting(None, "directory of more IANA zone data, for the whole process", "/srv/zoneinfo")
    priority: int = setting(1, "a standby with a higher priority takes over from a lower one", 10, _not_negative)
    leader_check_interval: float = setting(
        0.25, "seconds between a standby's questions whether the leader is alive", 0.25, _positive
    )
    leader_heartbeat_interval: float = setting(
        1.0, "seconds between two renewals of the leader's lease", 1.0, _positive
    )
    leader_lease: float = setting(5.0, "seconds an unrenewed lease is respected", 5.0, _positive)
    clock_limit: float = setting(
        5.0,
        "seconds that a clock may be off the server's; beyond, a scheduler does not lead, others use the server's (0: never)",
        5.0,
        _not_negative,
    )
    resync_interval: float = setting(
        15.0, "seconds between two checks that the watch on the schedules missed nothing", 15.0, _positive
    )
    fire_batch: int = setting(400, "fires committed in one transaction, 1 to 490", 400, _batch)

    queues: tuple[str, ...] = setting(
        ("default",), "queues a worker serves, a list or separated by commas", "default,mail"
    )
    concurrency: int = setting(10, "jobs a worker runs at the same time", 10, _positive)
    ack_wait: float = setting(
        30.0, "seconds without a heartbeat after which a job is handed to another worker", 30.0, _positive
    )
    max_deliveries: int = setting(
        5, "times a job may be handed out before it is taken for a killer and set aside", 5, _positive
    )
    drain_timeout: float = setting(
        25.0, "seconds a stopping worker lets its jobs finish before it hands them back", 25.0, _not_negative
    )
    memory_limit: int | None = setting(
        None, "bytes of memory beyond which a worker drains and ends, to be started anew", 2 << 30, _positive_or_none
    )
    process_memory_limit: int | None = setting(
        None, "bytes of memory beyond which a process child is replaced after its job", 512 << 20, _positive_or_none
    )
    allow_functions: tuple[str, ...] = setting(
        (), "functions a worker may import besides the registered ones, as module:pattern", "reports:*"
    )
    unknown_function_wait: float = setting(
        86400.0, "seconds that a job waits for a worker that knows its function, at most", 86400.0, _wait
    )
    allow_pickle: bool = setting(False, "accept pickled arguments (runs code of whoever can write jobs)", False)

    job_ttl: float = setting(86400.0, "seconds a job's result is kept", 86400.0, _lifetime)
    history_length: int = setting(100, "runs kept in each schedule's history", 100, _positive)
    history_age: float = setting(30 * 86400.0, "seconds a run is kept in the history", 2592000.0, _lifetime)
    events_age: float = setting(7 * 86400.0, "seconds an event is kept", 604800.0, _lifetime)
    log_level: str = setting(
        "INFO",
        "lowest level that is logged",
        "INFO",
        _check(
            lambda value: value in {"DEBUG", "INFO", "WARNING", "ERROR"},
            "must be DEBUG, INFO, WARNING or ERROR",
        ),
    )

    @property
    def embedded(self) -> bool:
        """Whether naq runs its own server: no ``nats_url`` was given."""
        return not self.nats_url


class SettingsOptions(TypedDict, total=False):
    """The keys of `Settings` as keyword arguments; ``None``: not given."""

    nats_creds: str | None
    nats_nkey: str | None
    nats_token: str | None
    nats_user: str | None
    nats_password: str | None
    tls_ca: str | None
    tls_cert: str | None
    tls_key: str | None
    inbox_prefix: str
    connect_timeout: float | None
    request_timeout: float | None
    namespace: str | None
    replicas: int | None
    data_dir: str | Path | None
    instance_id: str | None
    release: int | None
    zone_data: str | None
    priority: int | None
    leader_check_interval: float | None
    leader_heartbeat_interval: float | None
    leader_lease: float | None
    clock_limit: float | None
    resync_interval: float | None
    fire_batch: int | None
    queues: str | Sequence[str] | None
    concurrency: int | None
    ack_wait: float | None
    max_deliveries: int | None
    drain_timeout: float | None
    memory_limit: int | None
    process_memory_limit: int | None
    allow_functions: str | Sequence[str] | None
    unknown_function_wait: float | None
    allow_pickle: bool | None
    job_ttl: float | None
    history_length: int | None
    history_age: float | None
    events_age: float | None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None


FIELDS = {declared.name: declared for declared in dataclasses.fields(Settings)}
LISTS = frozenset({"nats_url", "queues", "allow_functions"})


def load_settings(
    explicit: Mapping[str, Any] | Settings | None = None,
    *,
    file: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Build the settings from all sources.

    ``explicit`` wins over the ``[naq]`` table of ``file``, which wins over ``NAQ_*`` in ``environment`` (the
    process's own by default). A `Settings` given as ``explicit`` is returned as it is. ``None`` as a value means
    "not given". Raises `ConfigError` with every complaint; nothing is read from the network.
    """
    if isinstance(explicit, Settings):
        return explicit
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for given in (_from_environment(environment), _from_file(file, problems), dict(explicit or {})):
        for key, value in given.items():
            if key not in FIELDS:
                problems.append(_unknown(key))
            elif value is not None:
                values[key] = value
    converted: dict[str, Any] = {}
    for key, value in values.items():
        try:
            converted[key] = _convert(key, value)
        except _ComplaintError as complaint:
            problems.append(complaint.problem)
    problems.extend(_combinations(converted))
    if problems:
        raise ConfigError(*problems)
    return Settings(**converted)


class _ComplaintError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _from_environment(environment: Mapping[str, str] | None) -> dict[str, Any]:
    source = os.environ if environment is None else environment
    return {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in source.items()
        if name.startswith(ENVIRONMENT_PREFIX) and value != ""
    }


def _from_file(file: Path | str | None, problems: list[Problem]) -> dict[str, Any]:
    if file is None:
        return {}

    from naq.text_file import parse_text, read_text_file  # most processes read no file

    path = Path(file)
    try:
        table = parse_text(read_text_file(path, "config file", "naq.toml"), ".toml").get("naq", {})
    except InvalidInput as error:
        problems.extend(error.problems)
        return {}
    except ValueError as error:
        problems.append(Problem("config file", shown(str(path)), f"it is not TOML: {error}", "[naq] namespace = 'naq'"))
        return {}
    if not isinstance(table, dict):
        problems.append(Problem("naq", shown(table), "must be a table", "[naq] namespace = 'naq'"))
        return {}
    return table


def _unknown(key: str) -> Problem:
    near = difflib.get_close_matches(key, FIELDS, n=1, cutoff=0.6)
    reason = "there is no such key" + (f", did you mean {near[0]!r}?" if near else "")
    example = f"{near[0]} = {shown(FIELDS[near[0]].metadata['example'])}" if near else "namespace = 'naq'"
    return Problem(key, "(given)", reason, example)


def _convert(key: str, value: Any) -> Any:
    declared = FIELDS[key]
    metadata = declared.metadata

    def refuse(reason: str) -> _ComplaintError:
        display = "***" if metadata["secret"] else shown(value)
        return _ComplaintError(Problem(key, display, reason, shown(metadata["example"])))

    if key in LISTS and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if key == "log_level" and isinstance(value, str):
        value = value.upper()
    try:
        result = msgspec.convert(value, _TYPES[key], strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        raise refuse(str(error).split(" - at")[0].lower()) from None
    if isinstance(result, float) and result != result:
        raise refuse("must be a number")
    complaint = metadata["check"](result) if metadata["check"] is not None else None
    if complaint is not None:
        raise refuse(complaint)
    if key == "queues":
        for queue in result:
            if NAME.fullmatch(queue) is None:
                raise refuse(f"queue {queue!r} must be 1 to 64 letters, digits, '-' or '_'")
    if key == "data_dir" and not result.strip():
        raise refuse("must name a directory")
    if key == "data_dir" and "\0" in result:
        raise refuse("must not have a null character in it")
    if key == "data_dir":
        return Path(result).expanduser().absolute()
    return result


_TYPES: dict[str, Any] = {
    name: {
        "tuple[str, ...]": tuple[str, ...],
        "str | None": str | None,
        "str": str,
        "int": int,
        "int | None": int | None,
        "float": float,
        "bool": bool,
        "Path": str,
    }[str(declared.type)]
    for name, declared in FIELDS.items()
}


def _combinations(values: Mapping[str, Any]) -> list[Problem]:
    problems = []
    lease = values.get("leader_lease", FIELDS["leader_lease"].default)
    heartbeat = values.get("leader_heartbeat_interval", FIELDS["leader_heartbeat_interval"].default)
    if lease < 2 * heartbeat:
        problems.append(
            Problem(
                "leader_lease",
                shown(lease),
                f"must be at least twice leader_heartbeat_interval ({heartbeat})",
                shown(heartbeat * 5),
            )
        )
    if bool(values.get("tls_cert")) != bool(values.get("tls_key")):
        missing = "tls_key" if values.get("tls_cert") else "tls_cert"
        problems.append(
            Problem(
                missing,
                "None",
                "tls_cert and tls_key go together",
                shown(FIELDS[missing].metadata["example"]),
            )
        )
    if values.get("nats_password") is not None and values.get("nats_user") is None:
        problems.append(Problem("nats_user", "None", "nats_password needs a user", "'naq'"))
    return problems
