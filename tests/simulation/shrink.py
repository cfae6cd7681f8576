"""From a history that fails to a smaller one that still fails: steps are left out as long as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.history import History

__all__ = ["shrink"]


def shrink(history: History, fails: Callable[[History], bool]) -> History:
    """The smallest failing history that leaving out steps, nodes and time comes to.

    Halves are tried first, then quarters, down to single steps (delta debugging); then fewer nodes, then less time.
    """
    size = max(1, len(history.steps) // 2)
    while True:
        start, progress = 0, False
        while start < len(history.steps):
            smaller = history.without(set(range(start, min(start + size, len(history.steps)))))
            if fails(smaller):
                history, progress = smaller, True
            else:
                start += size
        if size > 1:
            size = max(1, size // 2)
        elif not progress:
            break
    return _shorter(_fewer_nodes(history, fails), fails)


def _fewer_nodes(history: History, fails: Callable[[History], bool]) -> History:
    while history.nodes > 1:
        smaller = replace(history, nodes=history.nodes - 1)
        gone = f"n{smaller.nodes}"
        if any(step.target == gone for step in history.steps) or not fails(smaller):
            break
        history = smaller
    return history


def _shorter(history: History, fails: Callable[[History], bool]) -> History:
    last = max((step.at for step in history.steps), default=0.0)
    for length in (last + 0.5, last + 2.0, last + 5.0):
        if length < history.length and fails(smaller := replace(history, length=round(length, 3))):
            return smaller
    return history
