"""A crontab, made into the mapping of a declared set: `naq import crontab`. Pure.

Each line becomes a schedule whose job runs the command through a shell. What a line means is taken over (``CRON_TZ``,
environment lines, ``@daily``, ``%``, ``RANDOM_DELAY``); what cannot be is reported with its line number and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from naq.timing.cron import Cron
from naq.timing.zones import check_zone

__all__ = ["Complaint", "Crontab", "read_crontab"]

_VARIABLE = re.compile(r"""^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z_]\w*))\s*=\s*(.*?)\s*$""")
_MACROS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_STEP_OF_ONE = re.compile(r"(?<![\d*-])(\d+)(/\d+)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_WRAPPERS = ("sh", "bash", "env", "nice", "ionice", "sudo", "flock", "timeout", "python", "python3", "perl", "exec")
_PREPARATIONS = ("cd", "test", "[", ".", "source", "export", "umask")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A line that was not taken over, or not wholly (``taken``)."""

    line: int
    text: str
    reason: str
    taken: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}: {'taken over, but ' if self.taken else ''}{self.reason}"


@dataclass(frozen=True, slots=True)
class Crontab:
    """What a crontab comes to: a mapping that `naq.schedules.declared_file.read_definitions` reads, and what is left over."""

    form: Mapping[str, Any]
    complaints: tuple[Complaint, ...]


@dataclass(slots=True)
class _State:
    """What the lines above have set."""

    func: str
    with_user: bool
    tz: str | None
    variables: dict[str, str] = field(default_factory=dict)
    delay: int = 0
    schedules: dict[str, Any] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)


def read_crontab(text: str, *, tz: str | None = None, with_user: bool = False, func: str = "naq.shell:run") -> Crontab:
    """Read a crontab. ``tz`` is the zone of its machine, until a ``CRON_TZ`` line; ``None`` is UTC.

    ``with_user``: the lines have a user's name before the command, as in ``/etc/crontab``. ``func`` is the function that
    runs a command, called as ``func(command, env=..., stdin=..., shell=...)``.
    """
    state = _State(func, with_user, tz)
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _VARIABLE.match(line)
        if match is not None:
            _variable(state, number, stripped, match[1] or match[2] or match[3], _unquoted(match[4]))
        else:
            _command(state, number, stripped)
    return Crontab({"schedules": state.schedules}, tuple(state.complaints))


def _variable(state: _State, number: int, text: str, name: str, value: str) -> None:
    if name == "CRON_TZ":
        problems = check_zone(value, "CRON_TZ")
        if problems:
            state.complaints.append(Complaint(number, text, f"CRON_TZ {problems[0].reason}"))
        else:
            state.tz = value
    elif name == "RANDOM_DELAY":
        if value.isdecimal():
            state.delay = int(value)
        else:
            state.complaints.append(Complaint(number, text, "RANDOM_DELAY must be a number of minutes"))
    elif name in ("MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING"):
        reason = "no mail is sent: the output is the job's result, and alerts are told about failures"
        state.complaints.append(Complaint(number, text, reason))
    else:
        state.variables[name] = value


def _command(state: _State, number: int, line: str) -> None:
    parsed = _split(line, state.with_user)
    if isinstance(parsed, str):
        state.complaints.append(Complaint(number, line, parsed))
        return
    expression, user, rest = parsed
    if step := _STEP_OF_ONE.search(expression):
        reason = (
            f"{step[0]} is a step without a range, which cron refuses; for minutes {step[1]}-59{step[2]} may be meant"
        )
        state.complaints.append(Complaint(number, line, reason))
        return
    trigger = Cron(expression, state.tz or "UTC")
    problems = trigger.check("cron")
    if problems:
        reason = f"{problems[0].value} {problems[0].reason}"
        state.complaints.append(Complaint(number, line, reason))
        return
    if user is not None:
        reason = f"the user {user!r} is not: it runs as the worker's user"
        state.complaints.append(Complaint(number, line, reason, taken=True))
    command, stdin = _command_and_input(rest)
    if not command:
        state.complaints.append(Complaint(number, line, "has no command"))
        return
    schedule: dict[str, Any] = {"cron": expression}
    if state.tz is not None:
        schedule["timezone"] = state.tz
    if state.delay:
        schedule["jitter"] = f"{state.delay}m"
    job = _job(state, command, stdin)
    state.schedules[_name(command, state.schedules)] = {"job": job, "schedule": schedule}


def _job(state: _State, command: str, stdin: str | None) -> dict[str, Any]:
    variables = dict(state.variables)
    shell = variables.pop("SHELL", None)
    given = {"shell": shell, "env": variables or None, "stdin": stdin}
    kwargs = {name: value for name, value in given.items() if value is not None}
    return {"func": state.func, "args": [command], **({"kwargs": kwargs} if kwargs else {})}


def _split(line: str, with_user: bool) -> tuple[str, str | None, str] | str:
    """Expression, user and command of a line; or why there are none."""
    fields = 1 if line.startswith("@") else 5
    words = line.split(None, fields + with_user)
    if len(words) <= fields + with_user:
        missing = "a user and a command" if with_user and len(words) <= fields else "a command"
        return f"has no {fields} time fields and {missing}" if fields > 1 else f"has not {missing} behind {words[0]}"
    expression = " ".join(words[:fields])
    if fields == 1 and expression.lower() == "@reboot":
        return "@reboot does not name a time; start it with the worker, or enqueue it when the machine boots"
    if fields == 1 and expression.lower() not in _MACROS:
        return f"{expression} is not known; known are {', '.join(_MACROS)}"
    return expression.lower() if fields == 1 else expression, words[fields] if with_user else None, words[-1]


def _command_and_input(text: str) -> tuple[str, str | None]:
    """The command, and what stands behind the first ``%`` that is not escaped: its input, each ``%`` a new line."""
    parts = re.split(r"(?<!\\)%", text)
    unescaped = [part.replace("\\%", "%") for part in parts]
    stdin = "\n".join(unescaped[1:]) + "\n" if len(parts) > 1 else None
    return unescaped[0].strip(), stdin


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _name(command: str, taken: Mapping[str, Any]) -> str:
    """An id from the program that a command runs, with a number behind it when it is taken."""
    segments = [segment.split() for segment in re.split(r"&&|\|\||[;|&()]", command)]
    doing = [words for words in segments if words and words[0] not in _PREPARATIONS] or segments
    words = [word for word in doing[0] if not word.startswith("-") and not _ASSIGNMENT.match(word)]
    names = [word.rpartition("/")[2] for word in words]
    chosen = next((name for name in names if name not in _WRAPPERS), "command")
    base = re.sub(r"[^A-Za-z0-9_-]+", "-", chosen).strip("-")[:60] or "command"
    number, name = 2, base
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
