"""Where an application is in code: ``module:variable``. By it the store tells two applications apart that declare one set."""

from __future__ import annotations

import inspect
import sys

from naq.store.codec import main_module_name

__all__ = ["defining_module", "origin_of"]


def defining_module(application: object) -> str:
    """The module whose code makes ``application`` now: it is asked for in the application's ``__init__``."""
    frame = inspect.currentframe()
    frame = None if frame is None else frame.f_back
    while frame is not None and frame.f_locals.get("self") is application:
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def origin_of(application: object, module: str) -> str | None:
    """``module:variable`` of an application that was made in ``module``, under the name that other processes import;
    ``None`` when it is no variable of that module, e.g. because a function made it."""
    variables = vars(sys.modules[module]) if module in sys.modules else {}
    variable = next((name for name, value in variables.items() if value is application), None)
    if variable is None:
        return None
    return f"{main_module_name() if module == '__main__' else module}:{variable}"
