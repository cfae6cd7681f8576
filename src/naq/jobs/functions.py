"""The functions that a worker may run, by name.

A stored job names its function as ``module:qualname``, or by the name that it was declared with. A worker runs the functions
that the application registered (`add`), and those that match a pattern in ``allow_functions`` (``reports:*``). A pattern allows
only functions that the module itself defines, not those that it imported.
"""

from __future__ import annotations

import fnmatch
import importlib
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from naq.exceptions import InvalidJob, UnknownFunction
from naq.jobs.signature import refuse_generator
from naq.jobs.target import Target, make_target
from naq.store.codec import function_name, main_module_name

__all__ = ["Registry", "import_function", "importable_name"]

log = logging.getLogger(__name__)


class Registry:
    """The functions that this process runs as jobs."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        """``allow``: patterns of function names, with ``*`` and ``?``: ``reports:*``, ``app.*:send_*``."""
        self._allow = list(allow)
        self._functions: dict[str, Callable[..., Any]] = {}
        self._names: dict[str, str] = {}
        """The name that jobs use, by every name and alias."""
        self._complaints: set[str] = set()
        """What was logged about modules that cannot be imported: each is logged once."""
        self._targets: dict[str, Target] = {}

    def add(self, func: Callable[..., Any], reference: str | None = None, aliases: Sequence[str] = ()) -> str:
        """Register a function, and return the name that jobs use for it: its own (``module:qualname``), or ``reference``.

        Jobs that name it by one of the ``aliases``, or by its own name, run it, too. Raises `InvalidJob` for a lambda, a
        nested function or a bound method, unless ``reference`` gives a name, and for a generator function.
        """
        refuse_generator(func)
        own = importable_name(func)
        name = own or function_name(func) if reference is None else function_name(reference, "name")
        others = [function_name(alias, "aliases") for alias in aliases]
        for each in (name, *others, *((own,) if own is not None else ())):
            self._functions[each] = func
            self._names[each] = name
            self._targets.pop(each, None)
        return name

    def name_of(self, reference: str) -> str:
        """The name that jobs use for the function with this name or alias; the same when it is not registered."""
        return self._names.get(reference, reference)

    def registered(self, reference: str) -> Callable[..., Any] | None:
        """The function that was added with this name or alias; nothing is imported."""
        return self._functions.get(reference)

    def has_other(self, reference: str, func: Callable[..., Any]) -> bool:
        """Whether another function than this one has that name or alias."""
        other = self._functions.get(reference)
        return other is not None and importable_name(other) != importable_name(func)

    def allow(self, patterns: Iterable[str]) -> None:
        """Allow more patterns."""
        self._allow += [pattern for pattern in patterns if pattern not in self._allow]

    @property
    def references(self) -> tuple[str, ...]:
        """The names and aliases of the registered functions."""
        return tuple(self._functions)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of functions that may be imported."""
        return tuple(self._allow)

    def knows(self, reference: str) -> bool:
        """Whether it is a registered function, or an allowed one that exists. The module of an allowed one is imported."""
        return reference in self._functions or reference in self._targets or self._allowed(reference) is not None

    def resolve(self, reference: str, job_id: str = "") -> Callable[..., Any]:
        """The function. Raises `UnknownFunction` when it is neither registered nor allowed, or does not exist."""
        return self.target(reference, job_id).func

    def target(self, reference: str, job_id: str = "") -> Target:
        """The function with its parameters. Raises `UnknownFunction` as `resolve`."""
        target = self._targets.get(reference)
        if target is None:
            func = self._functions.get(reference) or self._allowed(reference)
            if func is None:
                raise UnknownFunction(job_id, reference, self.references)
            target = self._targets[reference] = make_target(reference, func)
            for parameter, reason in target.parameters.unknown.items():
                log.warning(
                    "%s: the annotation of %r is unknown here (%s), so its argument comes as plain JSON values",
                    reference,
                    parameter,
                    reason,
                )
        return target

    def _allowed(self, reference: str) -> Callable[..., Any] | None:
        if not any(fnmatch.fnmatchcase(reference, pattern) for pattern in self._allow):
            return None
        return import_function(reference, self._complaints)


def importable_name(func: Callable[..., Any]) -> str | None:
    """``module:qualname`` of a function; ``None`` when another process cannot import it by a name."""
    try:
        return function_name(func)
    except InvalidJob:
        return None


def import_function(reference: str, complaints: set[str] | None = None) -> Callable[..., Any] | None:
    """The function of that name; its module is imported if necessary. ``None`` when the module does not define it.

    A module that cannot be imported is logged, but not again when the line is in ``complaints``, which is added to.
    """
    name, _, qualname = reference.partition(":")
    try:
        module = sys.modules["__main__"] if name == main_module_name() else importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a user's module may raise anything
        complaint = f"the module of {reference} cannot be imported: {type(error).__name__}: {error}"
        if complaints is None or complaint not in complaints:
            log.warning("%s", complaint)
        if complaints is not None:
            complaints.add(complaint)
        return None
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    defined_there = getattr(found, "__module__", None) in (name, module.__name__)
    if not callable(found) or not defined_there or getattr(found, "__qualname__", None) != qualname:
        return None
    result: Callable[..., Any] = found
    return result
