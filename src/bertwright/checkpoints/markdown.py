"""Values of a record as Markdown shows them: nothing that a label or a file name holds can break a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_LONGEST = 80
# What Markdown or HTML would take for a sign of its own; an underscore within a word is none.
_SIGNS = re.compile(r"[\\`*\[\]<>|$&~]|(?<![^\W_])_|_(?![^\W_])")


def inline(value: Any) -> str:
    """A value within a line: numbers short, hashes cut, lists as words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(inline(each) for each in value) or "none"
    text = " ".join(str(value).split())
    if len(text) == 64 and all(sign in "0123456789abcdef" for sign in text):
        text = text[:16]
    return _SIGNS.sub(r"\\\g<0>", text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names with dots and plain values; what is None or empty is left out."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            for number, each in enumerate(value):
                yield from flat(each, f"{name}.{number}.")
        elif value is not None and value != []:
            yield name, value


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a table; a column of numbers is set to the right."""
    lines = [list(map(inline, row)) for row in rows]
    columns = list(zip(*lines, strict=True)) or [() for _ in head]
    numbers = [all(cell.replace(".", "", 1).isdigit() for cell in column if cell) for column in columns]
    return [_line(head), _line("---:" if number else "---" for number in numbers), *map(_line, lines)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
