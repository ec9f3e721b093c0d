"""A notebook's names against its task's parameters: typos of now, and what earlier ones left.

A live kernel keeps a name after its cell was corrected. IPython keeps the source of every cell
that was run, as `In`; from it follows whether a name was set before its correction.
"""

import ast
import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from workbench.core.config import MAX_SHOWN
from workbench.core.errors import ParameterError

PLAIN = (str, int, float, bool)
NEAR = 0.8
"""Likeness of two names, 0 to 1, from which one may be a typo of the other."""
_named: set[str] = set()
"""Names that this process has complained about."""


def check(namespace: Mapping[str, Any], fields: Collection[str]) -> list[str]:
    """Notes on names that an earlier typo left, which are let pass.

    ParameterError for a name that a cell of parameters sets and no field has, however unlike any,
    until the cell is run without it; and, once, for another plain value whose name is near a
    field's.
    """
    history = namespace.get("In")
    cells = [_assigned(str(cell)) for cell in history] if isinstance(history, list) else []
    for place, cell in enumerate(cells):
        known = cell & set(fields)
        later = cells[place + 1 :]
        again = any(2 * len(known & other) >= len(known) for other in later)
        if 2 * len(known) >= len(cell) > 0 and not again:
            for name in sorted(cell & namespace.keys() - known):
                raise _unknown(name, fields)
    notes = []
    for name, value in namespace.items():
        unset = bool(cells) and not any(name in cell for cell in cells)  # by a loop, or imported
        near = "" if unset else _near(name, value, fields)
        if near and not (near in namespace and (name in _named or _corrected(name, near, cells))):
            raise _unknown(name, fields)
        if near:
            given = f"{near} = {namespace[near]!r:.60}"
            notes.append(f"note: {name} = {value!r:.60} is no parameter; {given} is used")
    return notes


def _unknown(name: str, fields: Collection[str]) -> ParameterError:
    _named.add(name)
    near = difflib.get_close_matches(name[:MAX_SHOWN], fields, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return ParameterError(
        f"unknown parameter {name!r:.{MAX_SHOWN}}",
        expected=f"one of {', '.join(fields)}",
        do=f"{meant}correct it in its cell (a variable of your own belongs in another cell, under "
        "another name), run that cell and this one again; no restart is needed",
    )


def _near(name: str, value: object, fields: Collection[str]) -> str:
    """The field that a plain value's name may be a typo of; "" where there is none."""
    if name.startswith("_") or name in fields or not isinstance(value, PLAIN):
        return ""
    return next(iter(difflib.get_close_matches(name, fields, n=1, cutoff=NEAR)), "")


def _corrected(name: str, near: str, cells: Sequence[Collection[str]]) -> bool:
    """Whether the field was set after the name that is like it."""
    places = [[at for at, cell in enumerate(cells) if each in cell] for each in (name, near)]
    return all(places) and places[0][-1] < places[1][-1]


def _assigned(cell: str) -> set[str]:
    """The names that a cell's own statements assign a value to."""
    try:
        nodes = ast.parse(cell).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    targets = [
        target
        for node in nodes
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {target.id for target in targets if isinstance(target, ast.Name)}
