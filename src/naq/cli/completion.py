"""What a TAB shows beside each name: the text of its help, as it is.

Typer's own classes render the text first, because it may have markup; for that they load a Markdown parser and a highlighter,
which takes as long as everything else that a TAB needs. The help of naq's commands has no markup, and an option's no more than
an escaped bracket. Typer has no public way to change this, so what is touched of it stands here alone.
"""

from __future__ import annotations

from typing import Any

from typer._completion_classes import FishComplete, PowerShellComplete, ZshComplete

try:
    from typer._click.shell_completion import add_completion_class
except ImportError:  # an older Typer, which is built on Click
    from click.shell_completion import add_completion_class  # type: ignore[import-not-found,no-redef]

__all__ = ["complete_as_written"]

OFFER = str.maketrans({'"': '""', "'": "''", "$": "\\$", "`": "\\`", ":": "\\\\:"})
"""Characters that mean something in the list that zsh evaluates."""


class Zsh(ZshComplete):
    """``"pause":"Stop a schedule from firing."``"""

    def format_completion(self, item: Any) -> str:
        name = f'"{str(item.value).translate(OFFER)}"'
        return f'{name}:"{plain(item).translate(OFFER)}"' if item.help else name


class Fish(FishComplete):
    """Name and text, with a tab between them."""

    def format_completion(self, item: Any) -> str:
        return f"{item.value}\t{plain(item)}" if item.help else str(item.value)


class PowerShell(PowerShellComplete):
    """Name and text, with three colons between them."""

    def format_completion(self, item: Any) -> str:
        return f"{item.value}:::{plain(item) or ' '}"


def plain(item: Any) -> str:
    """The text of an item in one line."""
    return " ".join(str(item.help or "").replace("\\[", "[").split())


def complete_as_written() -> None:
    """Have TAB show the help as it is written. To be called after Typer made the command, which installs its own classes."""
    for shell, kind in (("zsh", Zsh), ("fish", Fish), ("powershell", PowerShell), ("pwsh", PowerShell)):
        add_completion_class(kind, shell)
