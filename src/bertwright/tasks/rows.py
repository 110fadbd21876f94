"""Labelled rows: JSONL, CSV, TSV or Parquet with `text,label` or `text_a,text_b,label`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertwright.errors import RowError, SettingsError
from bertwright.lines import told
from bertwright.records import Record, read_records

SINGLE = ("text",)
PAIR = ("text_a", "text_b")
# The tasks are one and the same but for the columns that the text stands in.
FIELDS = {"classify": SINGLE, "pair": PAIR}


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
    rows = rows_of(read_records(path, RowError), fields, label)
    if not rows:
        raise RowError("holds no rows", where=told(path))
    return rows


def rows_of(records: Iterable[Record], fields: Sequence[str], label: str | None) -> list[Row]:
    """The same, of records that were read already."""
    return [
        Row(tuple(text_of(values, name, place) for name in fields), label and _label(values, label, place), place)
        for place, values in records
    ]


def columns_of(
    task: str, texts: Sequence[str] | None = None, *, model: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """The columns that hold the texts of a task: those named, else those of the model's training, else the usual ones.

    Raises SettingsError where there are too few or too many.
    """
    usual = FIELDS[task]
    found = tuple(texts or (model or {}).get("texts") or usual)
    if len(found) != len(usual):
        what = f"`{task}` reads {len(usual)} column(s), but {len(found)} are named: {', '.join(map(str, found))}"
        raise SettingsError(what, cure="give --text-column once for each")
    return found


def text_of(values: dict[str, Any], name: str, place: str) -> str:
    """A text column. Raises RowError."""
    text = _column(values, name, place)
    if not isinstance(text, str):
        raise RowError(f"`{name}` is {text!r}, not a string", where=place)
    # A lone surrogate is legal in JSON and in no text.
    return text.encode("utf-8", "replace").decode()


def _label(values: dict[str, Any], name: str, place: str) -> str:
    label = _column(values, name, place, cure="name it with --label-column")
    if label is None or isinstance(label, dict | list) or label == "":
        raise RowError(f"`{name}` is {label!r}, not a label", where=place)
    return str(label)


def _column(values: dict[str, Any], name: str, place: str, cure: str = "name it with --text-column") -> Any:
    if name not in values:
        known = ", ".join(f"`{' '.join(str(key).split())}`" for key in values) or "none"
        what = f"there is no column `{name}`; the columns are {known}"
        if len(values) == 1 and any(mark in known for mark in ";\t|"):
            cure = "the cells are parted by something else: save it with commas, or as .tsv with tabs"
        raise RowError(what, where=place, cure=cure)
    return values[name]
