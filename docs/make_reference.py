"""Write the pages of ``docs/reference`` that follow from the code: ``./dev run python docs/make_reference.py``.

A test fails when they are not what this writes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from naq.cli.lazy import LazyCommand
from naq.cli.root import command as root
from naq.config import FIELDS
from naq.observe.health.conditions import CONDITIONS, Level

REFERENCE = Path(__file__).parent / "reference"


def configuration() -> str:
    """All keys of the configuration."""
    lines = [
        "# Configuration",
        "",
        "Every key can be given in four places: to `Naq(...)` or a service's mapping, in the `[naq]` table of a TOML file",
        "(`naq --config FILE`, `Naq(config_file=...)`), in the environment, or nowhere. The first in this order wins; unknown",
        "keys and bad values are reported all at once, with the nearest valid name. `naq config` shows what is in force.",
        "",
        "| key | environment | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, declared in FIELDS.items():
        lines.append(f"| `{name}` | `NAQ_{name.upper()}` | {_default(declared)} | {declared.metadata['doc']} |")
    return "\n".join(lines) + "\n"


def _default(declared: dataclasses.Field[object]) -> str:
    if declared.default_factory is not dataclasses.MISSING:
        return {"data_dir": "`~/.local/share/naq`", "instance_id": "host, process id, random"}[declared.name]
    value = declared.default
    if value in (None, ()):
        return "none"
    return f"`{','.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


def command_line() -> str:
    """All commands."""
    lines = [
        "# Command line",
        "",
        "`naq [GLOBAL OPTIONS] COMMAND ...`, or `python -m naq`. Global options stand before the command: `--nats-url`,",
        "`--namespace`, `--config`, `--data-dir`, `--log-level`, `--debug`. Listings print a table, or with `--json` one JSON",
        "document. Logs go to standard error.",
        "",
        "| exit code | means |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | what was asked for is not there, is not in that state, or failed |",
        "| 2 | bad input or usage; one message names the field, the value and a valid example |",
        "| 3 | could not ask: no server, no answer |",
        "| 130 | interrupted |",
        "",
    ]
    for path, command in commands(root(), "naq"):
        lines += _section(path, command)
    return "\n".join(lines).rstrip() + "\n"


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name."""
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        if not command.hidden:
            yield path, command.load() if isinstance(command, LazyCommand) else command
        return
    for name in sorted(subcommands):
        yield from commands(subcommands[name], f"{path} {name}")


def _section(path: str, command: Any) -> list[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    usage = " ".join([path, *(_metavar(each) for each in arguments), *(["[OPTIONS]"] if options else [])])
    lines = [f"## `{path}`", "", (command.help or "").replace("\n", " "), "", "```", usage, "```", ""]
    rows = [f"| `{_metavar(each)}` | {getattr(each, 'help', '') or ''} |" for each in arguments]
    rows += [
        f"| `{', '.join((*each.opts, *each.secondary_opts))}` | {getattr(each, 'help', '') or ''} |" for each in options
    ]
    if rows:
        lines += [
            "| | |",
            "|---|---|",
            *(row.replace("MODULE|", "MODULE\\|").replace("FILE|", "FILE\\|") for row in rows),
            "",
        ]
    if command.epilog:
        lines += [f"{command.epilog.strip().replace('  |  ', '; ')}", ""]
    return lines


def _metavar(argument: Any) -> str:
    return str(argument.metavar or (argument.name or "").upper())


def health() -> str:
    """The table of conditions."""
    lines = [
        "# Health: what can be wrong, and who sees it",
        "",
        "`naq doctor` looks at everything once. Its exit code is 1 when an *error* holds now, and 0 for warnings. `--json` has",
        "the `code` of each condition.",
        "",
        "`naq health ready` asks less: whether schedules fire, and jobs can be enqueued. Its exit code is 1 when one of the",
        "errors holds for which the table says *not ready*. It reads at most 20,000 schedules, those that were written",
        "longest ago, and no queue. `naq health live` asks only whether the server answers (`no-connection`, `no-answer`).",
        "",
        "`naq verify` is about fires: exit code 1 when some are missing, 3 when it cannot read the store, *no* when the",
        "condition is no matter of fires.",
        "",
        "As the check of a container:",
        "",
        "```yaml",
        "readinessProbe:",
        "  exec: {command: [naq, health, ready]}",
        "```",
        "",
        "| code | condition | `naq doctor` | `health ready` | `naq verify` | what to do |",
        "|---|---|---|---|---|---|",
    ]
    for each in CONDITIONS.values():
        doctor = f"{each.level}, exit {int(each.level is Level.ERROR)}"
        ready = "ready" if each.ready else "not ready, exit 1"
        cells = (f"`{each.code}`", each.meaning, doctor, ready, str(each.verify), each.remedy)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


PAGES = {"configuration.md": configuration, "cli.md": command_line, "health.md": health}


if __name__ == "__main__":
    for page, write in PAGES.items():
        (REFERENCE / page).write_text(write())
