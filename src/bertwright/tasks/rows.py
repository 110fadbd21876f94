"""Labelled rows: JSONL, CSV or TSV with `text,label` or `text_a,text_b,label`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertwright.errors import RowError
from bertwright.files import lines_of, parse_json_line, read_lines

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
    for place, values in records(path):
        texts = tuple(text_of(values, name, place) for name in fields)
        rows.append(Row(texts, None if label is None else _label(values, label, place), place))
    if not rows:
        raise RowError("holds no rows", where=path)
    return rows


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file as (file:line, columns); `-` reads JSONL from standard input. Raises RowError."""
    if str(path) == "-":
        yield from _jsonl(read_lines(None, sys.stdin.buffer, RowError), "standard input")
        return
    kinds = [suffix for suffix in path.suffixes if suffix not in {".gz", ".zst", ".xz"}]
    kind = kinds[-1].lower() if kinds else ""
    lines = lines_of(path, RowError)
    if kind == ".jsonl":
        yield from _jsonl(lines, str(path))
    elif kind == ".csv":
        yield from _table(lines, path, csv.excel)
    elif kind == ".tsv":
        yield from _table(lines, path, _Tsv)
    else:
        raise RowError(
            f"do not know how to read rows from `{kind or 'a file without an ending'}`",
            where=path,
            cure="give .jsonl, .csv or .tsv",
        )


class _Tsv(csv.Dialect):
    """Tab-separated without quoting: a quotation mark is part of the text, as in every public task in this form."""

    delimiter = "\t"
    quoting = csv.QUOTE_NONE
    lineterminator = "\n"


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


def _jsonl(lines: Iterator[tuple[int, str]], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in lines:
        if not line.strip():
            continue
        place = f"{where}:{number}"
        values = parse_json_line(line, place, RowError)
        if not isinstance(values, dict):
            raise RowError("this line is no JSON object", where=place)
        yield place, values


def _table(
    lines: Iterator[tuple[int, str]], path: Path, dialect: type[csv.Dialect]
) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0

    def counted() -> Iterator[str]:
        nonlocal number
        for number, line in lines:  # noqa: B007  # the number is read outside, where a row ends
            yield line + "\n"

    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(counted(), dialect)
    try:
        header = next(reader, None)
        if header is None:
            return
        if len(set(header)) < len(header):
            raise RowError("a column name stands twice in the header", where=f"{path}:1")
        for cells in reader:
            if not cells:
                continue
            place = f"{path}:{number}"
            if len(cells) != len(header):
                raise RowError(f"this row has {len(cells)} columns, the header {len(header)}", where=place)
            yield place, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise RowError(f"{error}", where=f"{path}:{number}") from None
