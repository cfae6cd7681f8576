"""What the code's structure must keep, measured: ``python -m tests.structure`` prints it, and fails where it is broken.

Sizes (no file over 400 lines, no function over 40, no constructor over 6 parameters), no ``cast``, no call of what
``getattr`` found by a name, and the rules of imports, which `tests.test_architecture` holds one by one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import naq

SOURCE = Path(naq.__file__).parent
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 40
PARAMETERS = 6

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def long_files(text: str, tree: ast.Module) -> Iterator[str]:
    lines = len(text.splitlines())
    if lines > LINES_OF_A_FILE:
        yield f"{lines} lines"


def long_functions(text: str, tree: ast.Module) -> Iterator[str]:
    for function in functions(tree):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > LINES_OF_A_FUNCTION:
            yield f"{function.name}: {lines} lines"


def wide_constructors(text: str, tree: ast.Module) -> Iterator[str]:
    for function in functions(tree):
        if function.name == "__init__":
            given = function.args
            parameters = len(given.posonlyargs + given.args + given.kwonlyargs) - 1
            if parameters > PARAMETERS:
                yield f"line {function.lineno}: {parameters} parameters"


def casts(text: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"cast", "typing.cast"}:
            yield f"line {node.lineno}: {ast.unparse(node)}"


def calls_by_name(text: str, tree: ast.Module) -> Iterator[str]:
    """A call of what ``getattr`` returned, at once or by a variable of the same function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_getattr(node.func):
            yield f"line {node.lineno}: {ast.unparse(node)}"
    for function in functions(tree):
        found = {
            target.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and _is_getattr(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in found:
                yield f"line {node.lineno}: {ast.unparse(node)}"


def _is_getattr(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr"


RULES: dict[str, Callable[[str, ast.Module], Iterator[str]]] = {
    f"files over {LINES_OF_A_FILE} lines": long_files,
    f"functions over {LINES_OF_A_FUNCTION} lines": long_functions,
    f"constructors over {PARAMETERS} parameters": wide_constructors,
    "casts": casts,
    "calls of a name found by getattr": calls_by_name,
}


def broken() -> dict[str, list[str]]:
    """Where each rule is broken: empty lists where it is kept."""
    found: dict[str, list[str]] = {rule: [] for rule in RULES}
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        tree = ast.parse(text, str(path))
        for rule, check in RULES.items():
            found[rule] += [f"{path.relative_to(SOURCE)}: {what}" for what in check(text, tree)]
    return found


def main() -> int:
    from tests import test_architecture as imports  # its constants read all of the source

    found = broken()
    found["imports that run upward"] = [
        f"{name} imports {other}" for name, tree in imports.ALL.items() for other in imports.upward(name, tree)
    ]
    found["imports against a room's order"] = [
        each for package in imports.PACKAGES for each in imports.against_order(package, imports.ALL)
    ]
    found["circles of imports"] = imports.circles(imports.ALL)
    for rule, places in found.items():
        print(f"{rule}: {len(places)}")
        for place in places:
            print(f"    {place}")
    files = [path.read_text().splitlines() for path in SOURCE.rglob("*.py")]
    print(f"source: {len(files)} files, {sum(map(len, files))} lines")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
