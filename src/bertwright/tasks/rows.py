"""Labelled rows: JSONL, CSV, TSV or Parquet with `text` or `text_a,text_b`, and `label`, `labels` or `score`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from bertwright.errors import RowError, SettingsError
from bertwright.lines import told
from bertwright.records import Record, read_records

SINGLE = ("text",)
PAIR = ("text_a", "text_b")
# The columns of each task's texts, the usual ones first. A score may belong to a pair or to one text.
FIELDS = {
    "classify": (SINGLE,),
    "pair": (PAIR,),
    "multilabel": (SINGLE,),
    "regress": (PAIR, SINGLE),
    "embed": (PAIR,),
}
LABEL_COLUMN = {"classify": "label", "pair": "label", "multilabel": "labels", "regress": "score", "embed": "score"}
Kind = Literal["class", "labels", "score"]
_LABEL_IT = "label every row, or name the column with --label-column"
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """A text or a pair of texts, what it is labelled with if it is, and where it stands (file:line).

    `label` is a class, `labels` are any number of them, each once and in the order of the file, `score` is a number.
    """

    texts: tuple[str, ...]
    label: str | None
    where: str
    labels: tuple[str, ...] | None = None
    score: float | None = None


def read_rows(path: Path, fields: Sequence[str], label: str | None, kind: Kind = "class") -> list[Row]:
    """All rows of a file, their texts from the columns `fields`, the label from column `label` (None: no label).

    `kind` says what a label is. Raises RowError with file:line.
    """
    rows = rows_of(read_records(path, RowError), fields, label, kind)
    if not rows:
        raise RowError("holds no rows", where=told(path))
    return rows


def rows_of(records: Iterable[Record], fields: Sequence[str], label: str | None, kind: Kind = "class") -> list[Row]:
    """The same, of records that were read already."""
    return [_row(values, place, fields, label, kind) for place, values in records]


def _row(values: dict[str, Any], place: str, fields: Sequence[str], label: str | None, kind: Kind) -> Row:
    texts = tuple(text_of(values, name, place) for name in fields)
    if not label:
        return Row(texts, None, place)
    if kind == "labels":
        return Row(texts, None, place, labels=_labels(values, label, place))
    if kind == "score":
        return Row(texts, None, place, score=_score(values, label, place))
    return Row(texts, _label(values, label, place), place)


def first_row(path: Path) -> dict[str, Any]:
    """The columns of a file's first row, from which `columns_of` may choose; none of a file without rows."""
    with closing(read_records(path, RowError)) as records:
        return next(records, ("", {}))[1]


def has_column(path: Path, name: str) -> bool:
    """Whether any row of a file has a column. Raises RowError."""
    with closing(read_records(path, RowError)) as records:
        return any(name in values for _, values in records)


def columns_of(
    task: str,
    texts: Sequence[str] | None = None,
    *,
    model: Mapping[str, Any] | None = None,
    row: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """The columns that hold the texts of a task: those named, else those of the model's training, else the usual ones.

    Of several usual ones, the first that all stand in `row`. Raises SettingsError where there are too few or too many.
    """
    usual = FIELDS[task]
    here = next((names for names in usual if row is not None and all(name in row for name in names)), usual[0])
    found = tuple(texts or (model or {}).get("texts") or here)
    if len(found) not in map(len, usual):
        counts = " or ".join(str(count) for count in sorted(map(len, usual)))
        what = f"`{task}` reads {counts} column(s), but {len(found)} are named: {', '.join(map(str, found))}"
        raise SettingsError(what, cure="give --text-column once for each")
    return found


def text_of(values: dict[str, Any], name: str, place: str, cure: str = "name it with --text-column") -> str:
    """A text column; `cure` is what to do where it is missing. Raises RowError."""
    text = column_of(values, name, place, cure)
    if not isinstance(text, str):
        raise RowError(f"`{name}` is {text!r}, not a string", where=place)
    return clean(text)


def clean(text: str) -> str:
    """A text as long as before, without lone surrogates, which are legal in JSON and in no text."""
    cleaned = text.encode("utf-8", "replace").decode()
    # The same object, where nothing had to change: the questions of a paragraph share its context.
    return text if cleaned == text else cleaned


def column_of(values: dict[str, Any], name: str, place: str, cure: str) -> Any:
    """The value of a column; `cure` is what to do where it is missing. Raises RowError."""
    if name not in values:
        known = ", ".join(f"`{' '.join(str(key).split())}`" for key in values) or "none"
        what = f"there is no column `{name}`; the columns are {known}"
        if len(values) == 1 and any(mark in known for mark in ";\t|"):
            cure = "the cells are parted by something else: save it with commas, or as .tsv with tabs"
        raise RowError(what, where=place, cure=cure)
    return values[name]


def _label(values: dict[str, Any], name: str, place: str) -> str:
    label = column_of(values, name, place, _LABEL_IT)
    if not (isinstance(label, bool) or _is_label(label)):
        raise RowError(f"`{name}` is {label!r}, not a label", where=place, cure="label the row, or remove it")
    return clean(str(label))


def _is_label(value: Any) -> bool:
    """Whether it is a text that is not blank, or a number; NaN stands for a cell without one."""
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and math.isfinite(value)


def _labels(values: dict[str, Any], name: str, place: str) -> tuple[str, ...]:
    """Labels as a list, or as a string: a JSON list where it begins with `[`, else parted by `;` or, without one, `,`.

    An empty list or cell is a row without a label, which is legal.
    """
    found = column_of(values, name, place, _LABEL_IT)
    if isinstance(found, str):
        found = _list_of(found.strip(), name, place)
    if not isinstance(found, list):
        cure = "write a list, and an empty one where no label holds"
        raise RowError(f"`{name}` is {found!r}, not a list of labels", where=place, cure=cure)
    for label in found:
        if not _is_label(label):
            cure = "labels are texts or numbers; correct it, or take it out of the list"
            raise RowError(f"`{name}` holds {label!r}, not a label", where=place, cure=cure)
    return tuple(dict.fromkeys(clean(str(label)) for label in found))


def _list_of(cell: str, name: str, place: str) -> Any:
    if cell.startswith("["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):  # ValueError: a number of thousands of digits, too
            cure = 'write ["a", "b"], or a;b, or a,b'
            raise RowError(f"`{name}` begins as a list and is no JSON: {cell!r}", where=place, cure=cure) from None
    return [label.strip() for label in cell.split(";" if ";" in cell else ",")] if cell else []


def _score(values: dict[str, Any], name: str, place: str) -> float:
    """A finite number, or text that is one."""
    found = column_of(values, name, place, _LABEL_IT)
    score = math.nan
    if isinstance(found, str):
        if _NUMBER.fullmatch(found.strip()):
            score = float(found)
    elif isinstance(found, int | float | Decimal) and not isinstance(found, bool):
        try:
            score = float(found)
        except OverflowError:
            score = math.inf
    if not math.isfinite(score):
        cure = "write a number such as 3.5, or remove the row"
        raise RowError(f"`{name}` is {found!r}, not a finite number", where=place, cure=cure)
    return score
