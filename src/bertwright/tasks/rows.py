"""Labelled rows: JSONL, CSV, TSV or Parquet with `text,label` or `text_a,text_b,label`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertwright.errors import RowError
from bertwright.records import read_records

SINGLE = ("text",)
PAIR = ("text_a", "text_b")


@dataclass(frozen=True, slots=True)
class Row:
    """A text or a pair of texts, the label if there is one, and where it stands (file:line)."""

    texts: tuple[str, ...]
    label: str | None
    where: str


def read_rows(path: Path, fields: Sequence[str], label: str | None) -> list[Row]:
    """All rows of a file, their texts from the columns `fields`, the label from column `label` (None: no label).

    Raises RowError with file:line.
    """
    rows = []
    for place, values in read_records(path, RowError):
        texts = tuple(text_of(values, name, place) for name in fields)
        rows.append(Row(texts, None if label is None else _label(values, label, place), place))
    if not rows:
        raise RowError("holds no rows", where=path)
    return rows


def text_of(values: dict[str, Any], name: str, place: str) -> str:
    """A text column. Raises RowError."""
    text = _column(values, name, place)
    if not isinstance(text, str):
        raise RowError(f"`{name}` is {text!r}, not a string", where=place)
    # A lone surrogate is legal in JSON and in no text.
    return text.encode("utf-8", "replace").decode()


def _label(values: dict[str, Any], name: str, place: str) -> str:
    label = _column(values, name, place, cure="rename one, or give --label-column")
    if label is None or isinstance(label, dict | list) or label == "":
        raise RowError(f"`{name}` is {label!r}, not a label", where=place)
    return str(label)


def _column(values: dict[str, Any], name: str, place: str, cure: str = "rename one") -> Any:
    if name not in values:
        known = ", ".join(f"`{key}`" for key in values) or "none"
        raise RowError(f"there is no column `{name}`; the columns are {known}", where=place, cure=cure)
    return values[name]
